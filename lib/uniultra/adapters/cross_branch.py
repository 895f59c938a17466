"""What SAMUS puts beside a frozen transformer: a CNN branch, cross-branch attention, feature adapters.

Sources: SAMUS (arXiv 2309.06824) for the ViT; the same parts serve the port onto Hiera.

    global block:  u = LN1(x);  u = u + CBA(u, c, c);  x = x + SA(u)
                   z = LN2(x);  x = x + MLP(z) + scale * FA(z)
                   c = refine(c), after its use
    before the neck:  x + scale * c

The CNN's maps never read the tokens, so all of them are made before the first block.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvNorm(nn.Module):
    """3x3 convolution without bias, LayerNorm over the channels, GELU: `(B,C,h,w)` to `(B,D,h,w)`.

    With `depthwise` the convolution is a depthwise 3x3 and a pointwise one.
    """

    def __init__(self, inputs: int, outputs: int, *, depthwise: bool = False) -> None:
        from timm.layers import LayerNorm2d

        super().__init__()
        self.conv: nn.Module
        if depthwise:
            self.conv = nn.Sequential(
                nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
                nn.Conv2d(inputs, outputs, 1, bias=False),
            )
        else:
            self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = LayerNorm2d(outputs, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.norm(self.conv(x)))

    def start_at_zero(self) -> None:
        """Make the output exactly zero until trained: GELU's slope of 1/2 there lets the norm learn first.

        The convolution cannot be the zero: its norm would multiply the gradient by 1/sqrt(eps).
        """
        zero(self.norm)


class CrossAttention(nn.Module):
    """Cross-branch attention: tokens `(B,H,W,D)` ask a map `(B,D,h,w)`; no positions, no norm of the map."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, tokens: Tensor, features: Tensor) -> Tensor:
        asked = features.flatten(2).transpose(1, 2)
        q, k, v = (
            t.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for t in (self.q(tokens.flatten(1, 2)), self.k(asked), self.v(asked))
        )
        answer = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.out(answer).view(tokens.shape)


class FeatureAdapter(nn.Module):
    """Bottleneck MLP on tokens `(…,D)`, D -> D/reduction -> D, without a skip; starts at zero."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, width // reduction)
        self.up = nn.Linear(width // reduction, width)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.up(F.gelu(self.down(tokens)))


class Stem(nn.Module):
    """The CNN branch: `ConvNorm` at full resolution, then again after every 2x2 max-pool.

    Pictures `(B,3,s,s)` become one map a level, `(B,widths[i],s/2^i,s/2^i)`.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ConvNorm(a, b) for a, b in pairwise((3, *widths)))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        maps = [self.layers[0](pictures)]
        for layer in self.layers[1:]:
            maps.append(layer(F.max_pool2d(maps[-1], 2)))
        return maps


class CrossBranch(nn.Module):
    """The CNN branch and its ties to the global blocks of one transformer.

    Insertion is by hooks on the encoder's own modules, which keep their names. Maps of the forward in
    progress are kept on this module, so one encoder runs one forward at a time. While gradients are
    recorded they stay until the next forward, because a checkpointed block runs again in the backward.

    Args:
        reader: the module whose input is the pictures.
        blocks: the transformer's global blocks, with `attn` and `mlp`.
        widths: of the CNN's levels, the last one the tokens'.
        reduction: bottleneck factor of the feature adapters.
        scale: weight of the feature adapters and of the CNN's last map.
        depthwise: depthwise-separable refinement.
    """

    def __init__(
        self,
        reader: nn.Module,
        blocks: Sequence[Any],
        widths: Sequence[int],
        *,
        reduction: int,
        scale: float,
        depthwise: bool,
    ) -> None:
        super().__init__()
        width = widths[-1]
        self.scale = scale
        self.stem = Stem(widths)
        self.refine = nn.ModuleList(ConvNorm(width, width, depthwise=depthwise) for _ in blocks)
        self.cross = nn.ModuleList(CrossAttention(width, block.attn.num_heads) for block in blocks)
        self.parallel = nn.ModuleList(FeatureAdapter(width, reduction) for _ in blocks)
        self._levels: list[Tensor] = []
        self._maps: list[Tensor] = []
        reader.register_forward_pre_hook(self._read)
        for i, block in enumerate(blocks):
            block.attn.register_forward_pre_hook(partial(self._attend, i))
            block.mlp.register_forward_hook(partial(self._add, i))

    def start_at_zero(self) -> None:
        """Zero every end, so that the adapted encoder is exactly its base until trained."""
        for attention, adapter in zip(self.cross, self.parallel, strict=True):
            zero(attention.get_submodule("out"))
            zero(adapter.get_submodule("up"))
        # Only the merge reads the last refined map.
        last: Any = self.refine[-1]
        last.start_at_zero()

    def merged(self, features: Tensor) -> Tensor:
        """The transformer's last features `(B,D,h,w)` with the CNN's added."""
        return features + self.scale * self._maps[-1]

    def forget(self) -> None:
        """Let go of the maps, unless the backward may still want them."""
        if not torch.is_grad_enabled():
            self._levels, self._maps = [], []

    def _read(self, _reader: nn.Module, inputs: tuple[Tensor]) -> None:
        self._levels = self.stem(inputs[0])
        self._maps = [self._levels[-1]]
        for refine in self.refine:
            self._maps.append(refine(self._maps[-1]))

    def _attend(self, index: int, _attn: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        return (inputs[0] + self.cross[index](inputs[0], self._maps[index]),)

    def _add(self, index: int, _mlp: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        return output + self.scale * self.parallel[index](inputs[0])

    def __getstate__(self) -> dict[str, Any]:
        # A copy starts without maps: tensors in the middle of a graph cannot be copied.
        return {**super().__getstate__(), "_levels": [], "_maps": []}


def zero(layer: nn.Module) -> None:
    """Set all parameters of a layer to zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
