"""SAMUS ported to SAM2's Hiera trunk, for any trunk size and any side that is a multiple of 32.

| SAMUS on SAM's ViT | here |
|---|---|
| overlapped patches | Hiera's own stem, 7x7 with stride 4 |
| position adapter | not needed; corrections of Hiera's two position tensors are an option |
| input feature adapter | token adapter after the stem |
| parallel feature adapters, cross-branch attention | at the three global blocks, all in stage 3 |
| CNN to stride 8, merged before the neck | to stride 16, merged into stage 3's output before the neck |
| - | its maps at strides 4 and 8 are also added to the decoder's high-resolution features (an option) |

Every output layer starts at zero, so the adapted network starts exactly at its base.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uniultra.adapters.cross_branch import CrossBranch, CrossBranchConfig, zero
from uniultra.adapters.registry import AdapterKind
from uniultra.errors import ModelError
from uniultra.networks.network import WIDTH, PromptNetwork

TAPS = (2, 3)  # levels of the CNN at strides 4 and 8
STAGE = 2  # the third: stride 16


@dataclass(frozen=True, kw_only=True)
class SAMUSHieraConfig(CrossBranchConfig):
    """Settings of SAMUS on Hiera, with those of `CrossBranchConfig`.

    Attributes:
        stem_width: channels of the CNN at full resolution, doubled at each of four poolings and then
            equal to the width W of stage 3; default 32. Limited to W/8, so that a small trunk gets a small
            branch.
        taps: add the CNN's maps at strides 4 and 8 to the two fine levels of the neck; default True.
        positions: train corrections of the trunk's two position tensors; default False.
    """

    stem_width: int = 32
    taps: bool = True
    positions: bool = False


class SAMUSHiera(CrossBranch):
    """The modules that the port adds to one Hiera image encoder."""

    def __init__(self, encoder: nn.Module, config: SAMUSHieraConfig) -> None:
        trunk: Any = encoder.get_submodule("trunk")
        blocks = [trunk.blocks[i] for i in trunk.global_att_blocks]
        width = blocks[0].dim_out
        first = min(config.stem_width, width // 8)
        widths = (*(first << level for level in range(4)), width)
        super().__init__(trunk, blocks, widths, config)
        self.config = config
        self.start_at_zero()
        if config.positions:
            self.position_grid = nn.Parameter(torch.zeros(trunk.pos_embed.shape))
            self.position_window = nn.Parameter(torch.zeros(trunk.pos_embed_window.shape))
        neck: Any = encoder.get_submodule("neck")
        neck.register_forward_pre_hook(self._merge)
        if config.taps:
            self.taps = nn.ModuleList(nn.Conv2d(widths[level], WIDTH, 1) for level in TAPS)
            zero(self.taps)
            neck.register_forward_hook(self._tap)

    def _adapt_input(self, _stem: nn.Module, _inputs: tuple[Tensor], tokens: Tensor) -> Tensor:
        tokens = super()._adapt_input(_stem, _inputs, tokens)
        if not self.config.positions:
            return tokens
        # The trunk resizes its own two tensors in these ways; both are linear, so corrections can be added.
        height, width = tokens.shape[1:3]
        side = self.position_window.shape[-1]
        grid = F.interpolate(self.position_grid, (height, width), mode="bicubic")
        window = self.position_window.tile(1, 1, height // side, width // side)
        return tokens + (grid + window).permute(0, 2, 3, 1)

    def _merge(self, _neck: nn.Module, inputs: tuple[list[Tensor]]) -> tuple[list[Tensor]]:
        features = list(inputs[0])
        features[STAGE] = self.merged(features[STAGE])
        if not self.config.taps:
            self.forget()
        return (features,)

    def _tap(self, _neck: nn.Module, _inputs: Any, output: tuple[list[Tensor], Any]) -> Any:
        levels, positions = list(output[0]), output[1]
        for i, (tap, level) in enumerate(zip(self.taps, TAPS, strict=True)):
            levels[i] = levels[i] + tap(self._levels[level])
        self.forget()
        return levels, positions


def inject(network: PromptNetwork, config: SAMUSHieraConfig | None = None) -> PromptNetwork:
    """Insert the port into the Hiera encoder of a network (in place) as `image_encoder.samus`.

    Raises:
        ModelError: no Hiera trunk, or global blocks outside stage 3.
    """
    encoder = network.image_encoder
    trunk: Any = getattr(encoder, "trunk", None)
    if trunk is None or not hasattr(trunk, "global_att_blocks"):
        raise ModelError("Expected a network on a Hiera trunk, such as sam2_t; for SAM's ViT use samus.")
    start, end = trunk.stage_ends[STAGE - 1] + 1, trunk.stage_ends[STAGE]
    # The first block of the stage gets tokens of the finer grid.
    if not trunk.global_att_blocks or not all(start < i <= end for i in trunk.global_att_blocks):
        raise ModelError(
            f"Expected all global blocks in stage 3 after its first block ({start + 1} to {end}); "
            f"this trunk has {tuple(trunk.global_att_blocks)}."
        )
    encoder.samus = SAMUSHiera(encoder, config or SAMUSHieraConfig())
    return network


KIND = AdapterKind("samus_hiera", SAMUSHieraConfig, inject, "samus", (".samus.",))
