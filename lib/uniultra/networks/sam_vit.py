"""SAM's ViT image encoder on `timm`, at any grid, and its variant with overlapped patches for SAMUS.

Tensor names are the official ones (`patch_embed.proj`, `pos_embed`, `blocks.N.…`, `neck.N`) except for
the MLPs, which timm calls `mlp.fc1` and `mlp.fc2` where SAM has `mlp.lin1` and `mlp.lin2`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uniultra.errors import ModelError
from uniultra.networks.network import WIDTH
from uniultra.networks.sam_attention import TableAttention

PATCH = 16
STRIDE = 8  # of the overlapped patches
TABLE = 64  # side of SAM's own absolute position table: 1024 / 16


@dataclass(frozen=True)
class VitSize:
    """Shape of SAM's ViT; the defaults are ViT-B's.

    Attributes:
        width: channels of the tokens.
        depth: number of blocks.
        heads: attention heads.
        global_blocks: indices of the blocks with global attention.
        window: side of the attention windows of the other blocks, in tokens.
    """

    width: int = 768
    depth: int = 12
    heads: int = 12
    global_blocks: tuple[int, ...] = (2, 5, 8, 11)
    window: int = 14


VIT_B = VitSize()


class OverlappedPatches(nn.Module):
    """SAM's 16x16 patches at a stride of 8: `(B,3,s,s)` to tokens `(B,s/8,s/8,D)`.

    The picture is first enlarged by 8 pixels, so that no padding is needed (SAMUS, arXiv 2309.06824).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, stride=STRIDE)

    def forward(self, pictures: Tensor) -> Tensor:
        side = pictures.shape[-1] + PATCH - STRIDE
        return self.proj(F.interpolate(pictures, (side, side), mode="bilinear")).permute(0, 2, 3, 1)


class PooledTable(nn.Module):
    """SAM's full position table `(1,64,64,D)`, max-pooled to the token grid `(1,g,g,D)`."""

    def __init__(self, grid: int) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, table: Tensor) -> Tensor:
        pooled = F.max_pool2d(table.permute(0, 3, 1, 2), TABLE // self.grid)
        return pooled.permute(0, 2, 3, 1)


class SamVit(nn.Module):
    """SAM's image encoder: pictures `(B,3,s,s)` to `(B,256,g,g)`.

    Args:
        image_size: side s of the input in pixels. The grid has g = s/16, and so has the position table;
            with `overlapped`, g = s/8 and the table keeps SAM's 64x64.
        size: shape of the transformer; default ViT-B.
        overlapped: cut overlapping patches as SAMUS does; default False.

    Raises:
        ModelError: `image_size` is not a positive multiple of 16; with `overlapped`, not 64, 128, 256 or 512.
    """

    def __init__(self, image_size: int, size: VitSize = VIT_B, *, overlapped: bool = False) -> None:
        from timm.models.vision_transformer_sam import VisionTransformerSAM

        super().__init__()
        self.size = size
        self.overlapped = overlapped
        stride = STRIDE if overlapped else PATCH
        if image_size < 2 * PATCH or image_size % stride or (overlapped and TABLE % (image_size // stride)):
            expected = "64, 128, 256 or 512" if overlapped else "a multiple of 16, at least 32"
            raise ModelError(f"The input side of this ViT must be {expected}; got {image_size}.")
        self.grid = image_size // stride
        vit = VisionTransformerSAM(
            img_size=self.grid * PATCH,
            patch_size=PATCH,
            num_classes=0,
            embed_dim=size.width,
            depth=size.depth,
            num_heads=size.heads,
            # timm leaves this at 1e-5; SAM was trained with 1e-6.
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=size.window,
            global_attn_indexes=size.global_blocks,
            neck_chans=WIDTH,
        )
        side = TABLE if overlapped else self.grid
        self.patch_embed = OverlappedPatches(size.width) if overlapped else vit.patch_embed
        self.pos_embed = nn.Parameter(torch.zeros(1, side, side, size.width))
        # Not zeros: before weights are loaded, a convolution on a table of zeros would get no gradient.
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.position = PooledTable(self.grid) if overlapped else nn.Identity()
        self.blocks = vit.blocks
        for block in self.blocks:
            block.attn = TableAttention(block.attn)
        self.neck = vit.neck

    def forward(self, pictures: Tensor) -> Tensor:
        tokens = self.patch_embed(pictures) + self.position(self.pos_embed)
        for block in self.blocks:
            tokens = block(tokens)
        return self.neck(tokens.permute(0, 3, 1, 2))


def resize_tables(tensors: Mapping[str, Tensor], grid: int, *, keep_table: bool = False) -> dict[str, Tensor]:
    """Adapt SAM's tensors to another token grid: resize the position tables bilinearly, copy the rest.

    The tables of blocks with windows (27 rows) do not depend on the grid and are copied.

    Args:
        tensors: of a network at 1024 pixels, by our names or the official ones.
        grid: side of the new token grid.
        keep_table: keep the full absolute position table, which the overlapped variant needs; default False.
    """

    def resized(name: str, tensor: Tensor) -> Tensor:
        if name.endswith("image_encoder.pos_embed") and not keep_table:
            table = tensor.float().permute(0, 3, 1, 2)
            return F.interpolate(table, (grid, grid), mode="bilinear").permute(0, 2, 3, 1).to(tensor.dtype)
        if ".attn.rel_pos_" in name and tensor.shape[0] == 2 * TABLE - 1:
            rows = F.interpolate(tensor.float().T[None], 2 * grid - 1, mode="linear")
            return rows[0].T.to(tensor.dtype)
        return tensor

    return {name: resized(name, tensor).contiguous() for name, tensor in tensors.items()}
