"""SAM2's image path at any side that is a multiple of 32, built on the `sam2` package's modules.

Module names equal those of the official SAM2.1 checkpoints (`image_encoder`, `sam_prompt_encoder`,
`sam_mask_decoder`, `no_mem_embed`), so their weights load by name. The video memory is omitted.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from uniultra.networks.network import WIDTH, Embedding, PromptNetwork, check_side

STRIDE = 16


@dataclass(frozen=True)
class HieraSize:
    """Shape of a Hiera trunk.

    Attributes:
        width: channels of stage 1; they double at each further stage.
        heads: attention heads of stage 1.
        stages: blocks per stage.
        global_blocks: indices of the blocks with global attention.
        windows: side of the attention windows per stage, in tokens.
        position_grid: size of the background position table.
    """

    width: int
    heads: int
    stages: tuple[int, int, int, int]
    global_blocks: tuple[int, ...]
    windows: tuple[int, int, int, int] = (8, 4, 14, 7)
    position_grid: tuple[int, int] = (7, 7)


HIERA = {
    "mini": HieraSize(16, 1, (1, 2, 7, 2), (5, 7, 9)),
    "t": HieraSize(96, 1, (1, 2, 7, 2), (5, 7, 9)),
    "s": HieraSize(96, 1, (1, 2, 11, 2), (7, 10, 13)),
    "b": HieraSize(112, 2, (2, 3, 16, 3), (12, 16, 20), position_grid=(14, 14)),
    "l": HieraSize(144, 2, (2, 6, 36, 4), (23, 33, 43), windows=(8, 4, 16, 8)),
}
LABELS = {"mini": "mini", "t": "Tiny", "s": "Small", "b": "Base+", "l": "Large"}
SIDES = {size: 256 if size == "mini" else 1024 for size in HIERA}  # default input side in pixels


class Sam2Image(PromptNetwork):
    """SAM2 without its video memory: `encode` pictures once, `decode` any number of prompts on them.

    Args:
        size: shape of the Hiera trunk, or another encoder with the same three output levels.
        image_size: side of the square input in pixels, a multiple of 32.
        map_channels: input channels of the dense prompt path, see `PromptNetwork`.

    Raises:
        ModelError: `image_size` is not a multiple of 32.
    """

    def __init__(self, size: HieraSize | nn.Module, image_size: int, map_channels: int = 1) -> None:
        check_side(image_size)
        encoder = hiera_encoder(size) if isinstance(size, HieraSize) else size
        super().__init__(encoder, image_size, image_size // STRIDE, map_channels, sam2=True)
        self.no_mem_embed = nn.Parameter(torch.zeros(1, 1, WIDTH))

    def encode(self, pictures: Tensor) -> Embedding:
        """Encode normalised pictures `(B,3,S,S)`."""
        high0, high1, image = self.image_encoder(pictures)["backbone_fpn"]
        decoder = self.sam_mask_decoder
        return Embedding(
            image + self.no_mem_embed.view(1, WIDTH, 1, 1),
            (decoder.conv_s0(high0), decoder.conv_s1(high1)),
        )


def hiera_encoder(size: HieraSize) -> nn.Module:
    """SAM2's image encoder (Hiera trunk and FPN neck, three levels) for a trunk of `size`."""
    from sam2.modeling.backbones.hieradet import Hiera
    from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
    from sam2.modeling.position_encoding import PositionEmbeddingSine

    trunk = Hiera(
        embed_dim=size.width,
        num_heads=size.heads,
        stages=size.stages,
        global_att_blocks=size.global_blocks,
        window_pos_embed_bkg_spatial_size=size.position_grid,
        window_spec=size.windows,
    )
    neck = FpnNeck(
        position_encoding=PositionEmbeddingSine(WIDTH, normalize=True, scale=None, temperature=10000),
        d_model=WIDTH,
        backbone_channel_list=trunk.channel_list,
        fpn_top_down_levels=[2, 3],
        fpn_interp_model="nearest",
    )
    return ImageEncoder(trunk, neck, scalp=1)
