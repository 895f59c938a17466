"""SAMUS on SAM's ViT with overlapped patches (arXiv 2309.06824): 39.65 M trained of 133.32 M.

Besides the CNN branch and what ties it to the global blocks (`cross_branch`) there are an input feature
adapter after the patch embedding and a position adapter; the tables of relative positions of the global
blocks are trained too, as parameters of the base.

As published the position adapter's output *replaces* the pooled table and every end starts at random, so
the network does not start at SAM. `start="base"` keeps parameters and counts, adds that output to the
pooled table and starts all ends at zero. Released weights need `start="paper"`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from uniultra.adapters.cross_branch import ConvNorm, CrossBranch, FeatureAdapter, zero
from uniultra.adapters.registry import AdapterKind
from uniultra.errors import ModelError
from uniultra.networks.network import PromptNetwork
from uniultra.networks.sam_vit import VIT_B, SamVit

STEM = (64, 128, 256)  # widths of the CNN before that of the tokens


@dataclass(frozen=True)
class SAMUSConfig:
    """Settings of SAMUS.

    Attributes:
        start: `base` starts exactly at the base network; `paper` is the published forward and init.
        depthwise: depthwise-separable refinement of the CNN's maps, 2.4 M instead of 21.2 M.
        reduction: bottleneck factor of the feature adapters.
        scale: weight of the parallel feature adapters and of the CNN's last map.
    """

    start: Literal["base", "paper"] = "base"
    depthwise: bool = False
    reduction: int = 4
    scale: float = 0.5


class SAMUS(CrossBranch):
    """All that SAMUS adds to one `SamVit`."""

    def __init__(self, encoder: SamVit, config: SAMUSConfig) -> None:
        width = encoder.size.width
        super().__init__(
            encoder,
            [encoder.blocks[i] for i in encoder.size.global_blocks],
            (*STEM, width),
            reduction=config.reduction,
            scale=config.scale,
            depthwise=config.depthwise,
        )
        self.config = config
        self.input = FeatureAdapter(width, config.reduction)
        self.position = ConvNorm(width, width)
        if config.start == "base":
            self.start_at_zero()
            zero(self.input.up)
            self.position.start_at_zero()
        encoder.patch_embed.register_forward_hook(self._adapt_input)
        encoder.position.register_forward_hook(self._adapt_position)
        encoder.neck.register_forward_pre_hook(self._merge)

    def _adapt_input(self, _patches: nn.Module, _inputs: tuple[Tensor], tokens: Tensor) -> Tensor:
        return tokens + self.input(tokens)

    def _adapt_position(self, _pool: nn.Module, _inputs: tuple[Tensor], pooled: Tensor) -> Tensor:
        adapted = self.position(pooled.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return pooled + adapted if self.config.start == "base" else adapted

    def _merge(self, _neck: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        merged = self.merged(inputs[0])
        self.forget()
        return (merged,)


def inject(network: PromptNetwork, config: SAMUSConfig | None = None) -> PromptNetwork:
    """Put SAMUS into the overlapped ViT of a network (in place) as `image_encoder.samus`.

    Raises:
        ModelError: another encoder.
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
