"""CH-Adapter: UniUltra's context-edge hybrid adapter for Hiera trunks (arXiv 2511.15771, figure 2).

In parallel to every block's MLP, an adapter takes the same normalised tokens and an edge map
shared by the whole trunk:

    y = x + MLP(z) + scale * (context(z) + edge(e)),    z = LN2(x)

*Context* is a bottleneck MLP D -> D/4 -> D. *Edge* applies four fixed 3x3 Sobel kernels to an
r-channel map computed once per image from the patch embedding and max-pooled 2x2 at each stage end,
then a 1x1 convolution to D. Both output layers start at zero, so an adapted trunk starts exactly at its base.

The module follows the figure. The released code transposes and reshapes the edge map, detaches it
so that its convolution never trains, and repeats one kernel response over all channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uniultra.adapters.cross_branch import FeatureAdapter, zero
from uniultra.adapters.registry import DECODER, AdapterKind
from uniultra.networks.network import PromptNetwork

SOBEL = (
    ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)),
    ((1, 2, 1), (0, 0, 0), (-1, -2, -1)),
    ((0, 1, 2), (-1, 0, 1), (-2, -1, 0)),
    ((2, 1, 0), (1, 0, -1), (0, -1, -2)),
)


@dataclass(frozen=True)
class CHAdapterConfig:
    """Settings of the CH-Adapter.

    Attributes:
        reduction: bottleneck factor of the context branch, D -> D/reduction -> D; default 4.
        edge_channels: r, channels of the shared edge map; default 4.
        edge: `magnitude` (default, as released) is the root of the summed squared responses, r channels;
            `concat` (as in the figure) concatenates the four responses, 4r channels.
        scale: weight of the adapter's output; default 0.5.
    """

    reduction: int = 4
    edge_channels: int = 4
    edge: Literal["magnitude", "concat"] = "magnitude"
    scale: float = 0.5


class CHAdapter(FeatureAdapter):
    """The adapter of one block: tokens `(B,H,W,D)` and edge map `(B,r,H,W)` to a correction `(B,H,W,D)`."""

    sobel: Tensor

    def __init__(self, width: int, config: CHAdapterConfig) -> None:
        super().__init__(width, config.reduction)
        self.config = config
        responses = config.edge_channels * (4 if config.edge == "concat" else 1)
        self.edge = nn.Conv2d(responses, width, kernel_size=1)
        kernels = torch.tensor(SOBEL, dtype=torch.float32)[:, None].repeat(config.edge_channels, 1, 1, 1)
        # Constants, so neither parameters nor part of a checkpoint; channel c owns kernels 4c..4c+3.
        self.register_buffer("sobel", kernels, persistent=False)
        zero(self.up)
        zero(self.edge)

    def forward(self, tokens: Tensor, edge_map: Tensor) -> Tensor:  # type: ignore[override]
        sobel = self.sobel.to(edge_map.dtype)
        responses = F.conv2d(edge_map, sobel, padding=1, groups=self.config.edge_channels)
        if self.config.edge == "magnitude":
            # The epsilon keeps the gradient of the root finite where the map is flat.
            responses = responses.unflatten(1, (-1, 4)).square().sum(2).add(1e-6).sqrt()
        return super().forward(tokens) + self.edge(responses).permute(0, 2, 3, 1)


class CHAdapters(nn.Module):
    """The CH-Adapters of one Hiera trunk with their shared edge convolution.

    They are inserted by hooks on the first block and on every block's MLP, so the trunk's modules and
    checkpoint keys do not change. The edge pyramid of the current forward is stored on this module, so a
    trunk may run only one forward at a time; the predictor's device lock guarantees that.
    """

    def __init__(self, trunk: nn.Module, config: CHAdapterConfig) -> None:
        super().__init__()
        self.config = config
        blocks: Any = trunk.blocks
        stage_ends: Any = trunk.stage_ends
        self.edge_stem = nn.Conv2d(blocks[0].dim, config.edge_channels, kernel_size=3, padding=1)
        self.layers = nn.ModuleList(CHAdapter(block.dim_out, config) for block in blocks)
        self._stage_of = [sum(i > end for end in stage_ends) for i in range(len(blocks))]
        self._pyramid: list[Tensor] = []
        blocks[0].register_forward_pre_hook(self._start)
        for i, block in enumerate(blocks):
            block.mlp.register_forward_hook(partial(self._add, i))

    def __getstate__(self) -> dict[str, Any]:
        # A deep copy of a network in training must not contain tensors of the last forward's graph.
        return self.__dict__ | {"_pyramid": []}

    def _start(self, _block: nn.Module, inputs: tuple[Tensor]) -> None:
        edge = F.gelu(self.edge_stem(inputs[0].permute(0, 3, 1, 2)))
        self._pyramid = [edge]
        for _ in range(max(self._stage_of)):
            self._pyramid.append(F.max_pool2d(self._pyramid[-1], 2))

    def _add(self, index: int, _mlp: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        correction = self.layers[index](inputs[0], self._pyramid[self._stage_of[index]])
        if index == len(self.layers) - 1 and not torch.is_grad_enabled():
            self._pyramid = []  # kept in training: gradient checkpointing reruns blocks in the backward
        return output + self.config.scale * correction


def inject(network: PromptNetwork, config: CHAdapterConfig | None = None) -> PromptNetwork:
    """Insert CH-Adapters into the Hiera trunk of a network (in place) as `trunk.ch_adapters`.

    The output of the adapted network equals its base's until the adapters are trained.

    Example:
        >>> import torch
        >>> from uniultra.models import build
        >>> network, picture = build("sam2_mini", image_size=64).eval(), torch.ones(1, 3, 64, 64)
        >>> with torch.no_grad():
        ...     before = network.encode(picture).image
        ...     after = inject(network, CHAdapterConfig(edge="concat")).encode(picture).image
        >>> torch.equal(before, after)
        True
        >>> sum(p.numel() for n, p in network.named_parameters() if ".ch_adapters." in n)
        46760
    """
    trunk = network.image_encoder.get_submodule("trunk")
    trunk.ch_adapters = CHAdapters(trunk, config or CHAdapterConfig())
    return network


KIND = AdapterKind("ch", CHAdapterConfig, inject, "ch_adapters", (".ch_adapters.", *DECODER))
