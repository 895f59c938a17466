"""Two sets of tokens that read each other: the transformer of AutoSAMUS' auto-prompt generator."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class SoftmaxOneAttention(nn.Module):
    """Attention of tokens `(B,N,D)` to others `(B,M,D)`; a head may attend to nothing.

    The denominator of the softmax has an extra 1: exp(x_i) / (1 + sum exp(x)). That is the softmax over
    one more key, of zeros, with a value of zeros.
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
        nothing = (0, 0, 0, 1)
        answer = F.scaled_dot_product_attention(q, F.pad(k, nothing), F.pad(v, nothing))
        return self.out(answer.transpose(1, 2).flatten(2))


class Side(nn.Module):
    """What one of the two sets of tokens owns in a layer: attention to the other, and an MLP."""

    def __init__(self, width: int, heads: int, head_width: int, hidden: int) -> None:
        super().__init__()
        self.norm_own, self.norm_other, self.norm_mlp = (nn.LayerNorm(width) for _ in range(3))
        self.attention = SoftmaxOneAttention(width, heads, head_width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        own = own + self.attention(self.norm_own(own), self.norm_other(other))
        return own + self.mlp(self.norm_mlp(own))

    def start_at_zero(self) -> None:
        """Return the tokens as they come until trained."""
        for last in (self.attention.out, self.mlp[-1]):
            for parameter in last.parameters():
                nn.init.zeros_(parameter)


class CrossTransformer(nn.Module):
    """Layers in which both sets attend to each other, each to what the other was before the layer.

    Args:
        width: of all tokens.
        depth: layers.
        heads, head_width: of the attention.
        hidden: of the MLPs.
    """

    def __init__(self, width: int, depth: int = 2, heads: int = 8, head_width: int = 64, hidden: int = 1024):
        super().__init__()
        self.first = nn.ModuleList(Side(width, heads, head_width, hidden) for _ in range(depth))
        self.second = nn.ModuleList(Side(width, heads, head_width, hidden) for _ in range(depth))

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        for one, two in zip(self.first, self.second, strict=True):
            first, second = one(first, second), two(second, first)
        return first, second
