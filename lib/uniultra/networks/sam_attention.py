"""SAM's attention with decomposed relative positions (arXiv 2112.01526, as SAM's ViT has it)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TableAttention(nn.Module):
    """SAM's attention over tokens `(B,h,w,D)`, with a learnt table of relative rows and one of columns.

    It takes over the layers of timm's, which gives equal answers but hands three axes to PyTorch's fused
    attention, where the ONNX exporter wants four, and makes its indices on the CPU in every forward.

    Args:
        timm: an attention of timm's with tables for exactly the windows it will see.
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
        rows = torch.einsum("bnhwc,hkc->bnhwk", grid, _apart(self.rel_pos_h, height))
        columns = torch.einsum("bnhwc,wkc->bnhwk", grid, _apart(self.rel_pos_w, width))
        bias = (rows[..., :, None] + columns[..., None, :]).flatten(4).flatten(2, 3)
        answer = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        joined: Tensor = self.proj(answer.transpose(1, 2).flatten(2))
        return joined.unflatten(1, (height, width))


def _apart(table: Tensor, side: int) -> Tensor:
    """Row `q - k` of the table for every pair of places, `(side,side,D)`."""
    place = torch.arange(side, device=table.device)
    return table[place[:, None] - place[None] + side - 1]
