"""Cross-attention between two sets of tokens: the transformer of AutoSAMUS' auto-prompt generator."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from uniultra.adapters.cross_branch import zero


class SoftmaxOneAttention(nn.Module):
    """Attention of tokens `(B,N,D)` to others `(B,M,D)`; a head may attend to nothing.

    The denominator of the softmax has an extra 1:

        exp(x_i) / (1 + sum_j exp(x_j))

    which is the softmax with one additional key of zeros whose value is zero.
    """

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, heads * head_width, bias=False)
        self.kv = nn.Linear(width, 2 * heads * head_width, bias=False)
        self.out = nn.Linear(heads * head_width, width)

    def forward(self, tokens: Tensor, others: Tensor) -> Tensor:
        q, k, v = (
            t.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for t in (self.q(tokens), *self.kv(others).chunk(2, dim=-1))
        )
        one_more = (0, 0, 0, 1)
        answer = F.scaled_dot_product_attention(q, F.pad(k, one_more), F.pad(v, one_more))
        return self.out(answer.transpose(1, 2).flatten(2))


class OneWayLayer(nn.Module):
    """A layer for one of the two sets of tokens: cross-attention to the other set, then an MLP."""

    def __init__(self, width: int, heads: int, head_width: int, hidden: int) -> None:
        super().__init__()
        self.norm_own, self.norm_other, self.norm_mlp = (nn.LayerNorm(width) for _ in range(3))
        self.attention = SoftmaxOneAttention(width, heads, head_width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        own = own + self.attention(self.norm_own(own), self.norm_other(other))
        return own + self.mlp(self.norm_mlp(own))

    def start_at_zero(self) -> None:
        """Make the layer the identity until it is trained."""
        zero(self.attention.out)
        zero(self.mlp[-1])


class CrossTransformer(nn.Module):
    """Layers in which two sets of tokens attend to each other, both to the inputs of the layer.

    Args:
        width: channels of all tokens.
        depth: number of layers.
        heads, head_width: number and channels of the attention heads.
        hidden: hidden channels of the MLPs.
    """

    def __init__(self, width: int, depth: int = 2, heads: int = 8, head_width: int = 64, hidden: int = 1024):
        super().__init__()
        self.first = nn.ModuleList(OneWayLayer(width, heads, head_width, hidden) for _ in range(depth))
        self.second = nn.ModuleList(OneWayLayer(width, heads, head_width, hidden) for _ in range(depth))

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        for first_layer, second_layer in zip(self.first, self.second, strict=True):
            first, second = first_layer(first, second), second_layer(second, first)
        return first, second
