"""Features of a SAM2 image encoder by origin: the block's output, its adapter's contribution, and the sum.

Each stage of the trunk ends with a block whose output is `x + MLP(z) + scale * CH(z)`. The last term is the
adapter's part, the rest the block's. The neck (1x1 convolutions and top-down sums) is linear apart from its
biases, so it projects both parts to 256 channels separately; the biases belong to the sum alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

ADAPTERS = "ch_adapters"


class Pyramid(NamedTuple):
    """Features of B pictures of side S at strides 4, 8 and 16, each `(B,256,S/stride,S/stride)`.

    whole: the neck's raw outputs, before the decoder's own projections; block, adapter: their parts,
    which sum up to `whole` less the neck's biases. Empty where not requested.
    """

    whole: tuple[Tensor, ...]
    block: tuple[Tensor, ...] = ()
    adapter: tuple[Tensor, ...] = ()


@contextmanager
def recorded(encoder: nn.Module, *, parts: bool) -> Iterator[list[Pyramid]]:
    """Record the features of each forward pass of `encoder`, by hooks that are removed at the end.

    Args:
        encoder: an image encoder of the `sam2` package, given normalised pictures `(B,3,S,S)`; with
            `parts`, one with CH-Adapters in its trunk.
        parts: also separate the contributions of blocks and adapters.
    """
    network: Any = encoder
    pyramids: list[Pyramid] = []
    # Of the forward pass in progress: the trunk's levels, and each stage's last adapter's part of them.
    levels: list[Tensor] = []
    adapters: list[Tensor] = []

    def keep_adapter(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        adapters.append(trunk_adapters.config.scale * output.permute(0, 3, 1, 2))

    def keep_levels(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Sequence[Tensor]) -> None:
        levels.extend(output)

    def keep_pyramid(_module: nn.Module, _inputs: tuple[Tensor, ...], output: dict[str, Any]) -> None:
        whole = tuple(output["backbone_fpn"])
        if not parts:
            pyramids.append(Pyramid(whole))
            return
        blocks = [level - part for level, part in zip(levels, adapters, strict=True)]
        block, adapter = (
            tuple(project(network.neck, part, bias=False)[: len(whole)]) for part in (blocks, adapters)
        )
        pyramids.append(Pyramid(whole, block, adapter))
        levels.clear()
        adapters.clear()

    with ExitStack() as hooks:
        hooks.enter_context(encoder.register_forward_hook(keep_pyramid))
        if parts:
            trunk_adapters = getattr(network.trunk, ADAPTERS)
            hooks.enter_context(network.trunk.register_forward_hook(keep_levels))
            for end in network.trunk.stage_ends:
                hooks.enter_context(trunk_adapters.layers[end].register_forward_hook(keep_adapter))
        yield pyramids


def project(neck: Any, levels: Sequence[Tensor], *, bias: bool = True) -> list[Tensor]:
    """The trunk's levels `(B,C,h,w)`, finest first, as a `sam2` FPN neck projects them to 256 channels.

    Without `bias` it is linear: the projection of a sum is the sum of the projections.
    """
    projected: list[Tensor] = []
    for level in reversed(range(len(levels))):
        # The neck keeps its convolutions coarsest first.
        conv = neck.convs[len(levels) - 1 - level].conv
        lateral = F.conv2d(levels[level], conv.weight, conv.bias if bias else None)
        if projected and level in neck.fpn_top_down_levels:
            lateral = lateral + F.interpolate(projected[0].float(), scale_factor=2.0, mode="nearest")
        projected.insert(0, lateral)
    return projected
