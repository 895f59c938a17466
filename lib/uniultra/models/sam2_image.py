"""SAM2's image path at any side that is a multiple of 32, built on the `sam2` package's modules.

Module names equal those of the official SAM2.1 checkpoints (`image_encoder`, `sam_prompt_encoder`,
`sam_mask_decoder`, `no_mem_embed`), so their weights load by name. The video memory is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from uniultra.errors import ModelError

WIDTH = 256
STRIDE = 16


@dataclass(frozen=True)
class HieraSize:
    """Shape of a Hiera trunk: width of stage 1, its heads, blocks per stage, windows, global blocks."""

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


class Embedding(NamedTuple):
    """What the encoder leaves of a batch of B pictures of side S.

    image: `(B,256,S/16,S/16)`; high0: `(B,32,S/4,S/4)`; high1: `(B,64,S/8,S/8)`.
    """

    image: Tensor
    high0: Tensor
    high1: Tensor

    @property
    def bytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in self)

    def repeat(self, index: Tensor) -> Embedding:
        """The embedding of picture `index[n]` at place n."""
        return Embedding(*(t.index_select(0, index) for t in self))


class Sam2Image(nn.Module):
    """SAM2 without its video memory: `encode` pictures once, `decode` any number of prompts on them.

    Args:
        size: the Hiera trunk.
        image_size: side of the square input, a multiple of 32.
        map_channels: input channels of the dense prompt path. Official weights know 1 (previous
            logits); ours know `uniultra.prompts.raster.CHANNELS`, drawn prompts.
    """

    def __init__(self, size: HieraSize, image_size: int, map_channels: int = 1) -> None:
        super().__init__()
        from sam2.modeling.sam.mask_decoder import MaskDecoder
        from sam2.modeling.sam.prompt_encoder import PromptEncoder
        from sam2.modeling.sam.transformer import TwoWayTransformer

        if image_size <= 0 or image_size % 32:
            raise ModelError(
                f"The input side must be a positive multiple of 32 (Hiera's windows); got {image_size}."
            )
        self.image_size = image_size
        self.map_channels = map_channels
        grid = image_size // STRIDE
        self.image_encoder = hiera_encoder(size)
        self.no_mem_embed = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.sam_prompt_encoder = PromptEncoder(
            embed_dim=WIDTH,
            image_embedding_size=(grid, grid),
            input_image_size=(image_size, image_size),
            mask_in_chans=16,
        )
        if map_channels != 1:
            self.sam_prompt_encoder.mask_downscaling[0] = nn.Conv2d(map_channels, 4, 2, stride=2)
        self.sam_mask_decoder = MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=WIDTH, mlp_dim=2048, num_heads=8),
            transformer_dim=WIDTH,
            use_high_res_features=True,
            iou_prediction_use_sigmoid=True,
            pred_obj_scores=True,
            pred_obj_scores_mlp=True,
            use_multimask_token_for_obj_ptr=True,
        )

    def encode(self, pictures: Tensor) -> Embedding:
        """Encode normalised pictures `(B,3,S,S)`."""
        high0, high1, image = self.image_encoder(pictures)["backbone_fpn"]
        decoder = self.sam_mask_decoder
        return Embedding(
            image + self.no_mem_embed.view(1, WIDTH, 1, 1), decoder.conv_s0(high0), decoder.conv_s1(high1)
        )

    def decode(
        self, embedding: Embedding, coords: Tensor, labels: Tensor, dense: Tensor | None, multimask: bool
    ) -> tuple[Tensor, Tensor]:
        """Masks for N prompt sets, one per picture of `embedding`, or all on its only picture.

        Args:
            embedding: of N pictures, or of one.
            coords: `(N,P,2)` in `model_xy` pixels of the input square.
            labels: `(N,P)`: 1 positive, 0 negative, 2 and 3 box corners, -1 padding.
            dense: `(N,map_channels,S/4,S/4)` or None.
            multimask: three masks for an ambiguous prompt instead of one.

        Returns:
            Logits `(N,M,S/4,S/4)` and predicted IoU `(N,M)`, M = 3 or 1.
        """
        # Encoded by hand what PromptEncoder.forward would, because that pads once more.
        encoder = self.sam_prompt_encoder
        sparse = encoder._embed_points(coords, labels.to(coords.dtype), pad=False)
        count = coords.shape[0]
        if dense is None:
            grid = embedding.image.shape[-1]
            dense_embedding = encoder.no_mask_embed.weight.view(1, -1, 1, 1).expand(count, -1, grid, grid)
        else:
            dense_embedding = encoder.mask_downscaling(dense)
        logits, iou, _, _ = self.sam_mask_decoder(
            image_embeddings=embedding.image,
            image_pe=encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense_embedding,
            multimask_output=multimask,
            repeat_image=embedding.image.shape[0] != count,
            high_res_features=[embedding.high0, embedding.high1],
        )
        return logits, iou


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
