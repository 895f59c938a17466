"""Features of a SAM2 image encoder by origin: what a block outputs, what its adapter adds, and both.

Each stage of the trunk ends with a block whose output is `x + MLP(z) + scale * CH(z)`. The last term is
the adapter's part, the rest the block's. The neck (1x1 convolutions and top-down sums) is linear, so it
brings both parts to 256 channels apart; its biases belong to the sum alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
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
        parts: also separate what blocks and adapters contribute.
    """
    network: Any = encoder
    pyramids: list[Pyramid] = []
    levels: list[Any] = []

    def keep(_encoder: nn.Module, _inputs: tuple[Tensor, ...], output: dict[str, Any]) -> None:
        whole = tuple(output["backbone_fpn"])
        if not parts:
            pyramids.append(Pyramid(whole))
            return
        block = [level - correction for level, correction in zip(levels.pop(), adapter, strict=True)]
        sides = [project(network.neck, part, bias=False)[: len(whole)] for part in (block, adapter)]
        pyramids.append(Pyramid(whole, tuple(sides[0]), tuple(sides[1])))
        adapter.clear()

    corrections: AbstractContextManager[list[Tensor]]
    corrections = _corrections(network.trunk) if parts else nullcontext([])
    with corrections as adapter:
        handles = [encoder.register_forward_hook(keep)]
        if parts:
            trunk = network.trunk.register_forward_hook(lambda _m, _i, output: levels.append(list(output)))
            handles.append(trunk)
        try:
            yield pyramids
        finally:
            for handle in handles:
                handle.remove()


def project(neck: Any, levels: Sequence[Tensor], *, bias: bool = True) -> list[Tensor]:
    """What a `sam2` FPN neck makes of the trunk's levels `(B,C,h,w)`, finest first, at 256 channels.

    Without `bias` it is linear: the projection of a sum is the sum of the projections.
    """
    found: list[Tensor] = []
    for level in reversed(range(len(levels))):
        # The neck keeps its convolutions coarsest first.
        conv = neck.convs[len(levels) - 1 - level].conv
        lateral = F.conv2d(levels[level], conv.weight, conv.bias if bias else None)
        if found and level in neck.fpn_top_down_levels:
            lateral = lateral + F.interpolate(found[0].float(), scale_factor=2.0, mode="nearest")
        found.insert(0, lateral)
    return found


@contextmanager
def _corrections(trunk: Any) -> Iterator[list[Tensor]]:
    """While it lasts, a forward of the trunk leaves each stage's last adapter's part `(B,C,h,w)` here."""
    adapters = getattr(trunk, ADAPTERS)
    found: list[Tensor] = []
    handles = [
        adapters.layers[end].register_forward_hook(partial(_keep, found, adapters.config.scale))
        for end in trunk.stage_ends
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _keep(
    found: list[Tensor], scale: float, _adapter: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor
) -> None:
    found.append(scale * output.permute(0, 3, 1, 2))
