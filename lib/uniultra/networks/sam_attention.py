"""SAM's attention with decomposed relative positions (arXiv 2112.01526, as SAM's ViT has it)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TableAttention(nn.Module):
    """SAM's attention over tokens `(B,h,w,D)` with learnt relative position tables for rows and columns.

    It reuses the layers of timm's attention and returns the same values. timm's passes 3D tensors to
    PyTorch's fused attention, where the ONNX exporter needs 4D, and builds its indices on the CPU in every
    forward.

    Args:
        timm: timm's attention, with tables sized for the windows it is used on.
    """

    def __init__(self, timm: Any) -> None:
        super().__init__()
        self.num_heads: int = timm.num_heads
        self.qkv: nn.Linear = timm.qkv
        self.proj: nn.Linear = timm.proj
        self.rel_pos_h: nn.Parameter = timm.rel_pos_h
        self.rel_pos_w: nn.Parameter = timm.rel_pos_w

    def forward(self, tokens: Tensor) -> Tensor:
        height, width = tokens.shape[1:3]
        qkv = self.qkv(tokens).flatten(1, 2).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B,heads,h*w,D/heads)
        grid = q.unflatten(2, (height, width))
        rows = torch.einsum("bnhwc,hkc->bnhwk", grid, _relative(self.rel_pos_h, height))
        columns = torch.einsum("bnhwc,wkc->bnhwk", grid, _relative(self.rel_pos_w, width))
        bias = (rows[..., :, None] + columns[..., None, :]).flatten(4).flatten(2, 3)
        answer = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.proj(answer.transpose(1, 2).flatten(2)).unflatten(1, (height, width))


def _relative(table: Tensor, side: int) -> Tensor:
    """Row `q - k` of the table for every query q and key k along an axis, `(side,side,D)`."""
    position = torch.arange(side, device=table.device)
    return table[position[:, None] - position[None] + side - 1]
