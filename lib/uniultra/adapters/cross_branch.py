"""SAMUS's modules beside a frozen transformer: CNN branch, cross-branch attention, feature adapters.

Source: SAMUS (arXiv 2309.06824), for the ViT; its port onto Hiera uses the same modules.

    global block:  u = LN1(x);  u = u + CBA(u, c, c);  x = x + SA(u)
                   z = LN2(x);  x = x + MLP(z) + scale * FA(z)
                   c = refine(c), for the next global block
    before the neck:  x + scale * c

The CNN's maps do not depend on the tokens, so all are computed before the first block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
        """Make the output exactly zero until trained; GELU's slope of 1/2 at 0 lets the norm learn first.

        The norm is zeroed and not the convolution, whose gradient it would multiply by 1/sqrt(eps).
        """
        zero(self.norm)


class CrossAttention(nn.Module):
    """Cross-branch attention of tokens `(B,H,W,D)` to a map `(B,D,h,w)`, without positions or norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, tokens: Tensor, features: Tensor) -> Tensor:
        keys = features.flatten(2).transpose(1, 2)
        q, k, v = (
            t.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for t in (self.q(tokens.flatten(1, 2)), self.k(keys), self.v(keys))
        )
        answer = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.out(answer).view(tokens.shape)


class FeatureAdapter(nn.Module):
    """Bottleneck MLP on tokens `(…,D)`, D -> D/reduction -> D, without a skip connection."""

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


@dataclass(frozen=True, kw_only=True)
class CrossBranchConfig:
    """Settings that SAMUS and its port onto Hiera share.

    Attributes:
        depthwise: depthwise-separable refinement of the CNN's maps; default False. On SAM's ViT it has 2.4 M
            parameters instead of 21.2 M.
        reduction: bottleneck factor of the feature adapters; default 4.
        scale: weight of the parallel feature adapters and of the CNN's last map; default 0.5.
    """

    depthwise: bool = False
    reduction: int = 4
    scale: float = 0.5


class CrossBranch(nn.Module):
    """The CNN branch and its connections to the stem and the global blocks of one transformer.

    They are inserted by hooks on the encoder's modules, whose names do not change. Maps of the current
    forward are stored on this module, so an encoder may run only one forward at a time. While gradients are
    recorded they are kept until the next forward, because a checkpointed block runs again in the backward.

    Args:
        encoder: the module that gets the pictures and cuts them into tokens with `patch_embed`.
        blocks: the transformer's global blocks, with `attn` and `mlp`.
        widths: channels of the CNN's levels, the last equal to that of the blocks' tokens.
        config: settings.
    """

    def __init__(
        self, encoder: Any, blocks: Sequence[Any], widths: Sequence[int], config: CrossBranchConfig
    ) -> None:
        super().__init__()
        width = widths[-1]
        self.scale = config.scale
        self.stem = Stem(widths)
        self.refine = nn.ModuleList(ConvNorm(width, width, depthwise=config.depthwise) for _ in blocks)
        self.cross = nn.ModuleList(CrossAttention(width, block.attn.num_heads) for block in blocks)
        self.parallel = nn.ModuleList(FeatureAdapter(width, config.reduction) for _ in blocks)
        self.input = FeatureAdapter(encoder.patch_embed.proj.out_channels, config.reduction)
        self._levels: list[Tensor] = []
        self._maps: list[Tensor] = []
        encoder.register_forward_pre_hook(self._compute_maps)
        encoder.patch_embed.register_forward_hook(self._adapt_input)
        for i, block in enumerate(blocks):
            block.attn.register_forward_pre_hook(partial(self._attend, i))
            block.mlp.register_forward_hook(partial(self._add, i))

    def start_at_zero(self) -> None:
        """Zero every output layer, so that the adapted encoder equals its base until trained."""
        zero(self.input.up)
        for attention, adapter in zip(self.cross, self.parallel, strict=True):
            zero(attention.get_submodule("out"))
            zero(adapter.get_submodule("up"))
        # `merged` adds the last refined map directly, so that map itself must be zero.
        last: Any = self.refine[-1]
        last.start_at_zero()

    def merged(self, features: Tensor) -> Tensor:
        """The transformer's last features `(B,D,h,w)` plus the CNN's."""
        return features + self.scale * self._maps[-1]

    def forget(self) -> None:
        """Release the maps, unless the backward may still need them."""
        if not torch.is_grad_enabled():
            self._levels, self._maps = [], []

    def _adapt_input(self, _stem: nn.Module, _inputs: tuple[Tensor], tokens: Tensor) -> Tensor:
        return tokens + self.input(tokens)

    def _compute_maps(self, _encoder: nn.Module, inputs: tuple[Tensor]) -> None:
        self._levels = self.stem(inputs[0])
        self._maps = [self._levels[-1]]
        for refine in self.refine:
            self._maps.append(refine(self._maps[-1]))

    def _attend(self, index: int, _attn: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        return (inputs[0] + self.cross[index](inputs[0], self._maps[index]),)

    def _add(self, index: int, _mlp: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        return output + self.scale * self.parallel[index](inputs[0])

    def __getstate__(self) -> dict[str, Any]:
        # Deep copies have no maps: non-leaf tensors of a graph cannot be copied.
        return {**super().__getstate__(), "_levels": [], "_maps": []}


def zero(layer: nn.Module) -> None:
    """Set all parameters of a layer to zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
