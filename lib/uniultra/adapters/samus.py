"""SAMUS on SAM's ViT with overlapped patches (arXiv 2309.06824): 39.65 M trained of 133.32 M.

Besides the CNN branch (`cross_branch`) there is a position adapter; the relative position tables of the
global blocks are trained too, as parameters of the base.

As published, the position adapter's output *replaces* the pooled table and every output layer starts at
random, so the network does not start at SAM. `start="base"` has the same parameters, but adds that output to
the pooled table and starts all output layers at zero. Released weights need `start="paper"`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from uniultra.adapters.cross_branch import ConvNorm, CrossBranch, CrossBranchConfig
from uniultra.adapters.registry import AdapterKind
from uniultra.errors import ModelError
from uniultra.networks.network import PromptNetwork
from uniultra.networks.sam_vit import VIT_B, SamVit

STEM = (64, 128, 256)  # channels of the CNN's levels; the last has that of the tokens


@dataclass(frozen=True, kw_only=True)
class SAMUSConfig(CrossBranchConfig):
    """Settings of SAMUS, with those of `CrossBranchConfig`.

    Attributes:
        start: `base` (default) starts exactly at the base network; `paper` is the published forward and
            initialisation.
    """

    start: Literal["base", "paper"] = "base"


class SAMUS(CrossBranch):
    """The modules that SAMUS adds to one `SamVit`."""

    def __init__(self, encoder: SamVit, config: SAMUSConfig) -> None:
        width = encoder.size.width
        blocks = [encoder.blocks[i] for i in encoder.size.global_blocks]
        super().__init__(encoder, blocks, (*STEM, width), config)
        self.config = config
        self.position = ConvNorm(width, width)
        if config.start == "base":
            self.start_at_zero()
            self.position.start_at_zero()
        encoder.position.register_forward_hook(self._adapt_position)
        encoder.neck.register_forward_pre_hook(self._merge)

    def _adapt_position(self, _pool: nn.Module, _inputs: tuple[Tensor], pooled: Tensor) -> Tensor:
        adapted = self.position(pooled.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return pooled + adapted if self.config.start == "base" else adapted

    def _merge(self, _neck: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        merged = self.merged(inputs[0])
        self.forget()
        return (merged,)


def inject(network: PromptNetwork, config: SAMUSConfig | None = None) -> PromptNetwork:
    """Insert SAMUS into the ViT with overlapped patches of a network (in place) as `image_encoder.samus`.

    Raises:
        ModelError: another kind of encoder.
    """
    encoder = network.image_encoder
    if not isinstance(encoder, SamVit) or not encoder.overlapped:
        raise ModelError(
            "Expected SAM's ViT with overlapped patches for SAMUS; build it on sam_b_overlap, "
            "or use samus_hiera for a Hiera trunk."
        )
    encoder.samus = SAMUS(encoder, config or SAMUSConfig())
    return network


KIND = AdapterKind(
    "samus",
    SAMUSConfig,
    inject,
    "samus",
    (".samus.", *(f".blocks.{i}.attn.rel_pos_" for i in VIT_B.global_blocks)),
)
