"""Scan geometry estimated from a picture: the probe's axis, its beams, and depth along them.

Estimated from the footprint, the non-black part of the picture. A curved or phased array has a fan-shaped
footprint whose straight edges meet in an apex above the probe; a linear array has a rectangle, whose beams
are treated as those of a distant apex.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

GRID = 64  # cells per side of the grid on which the footprint is analysed
BLACK = 0.03  # grey value (0..1) below which a cell is outside the footprint
LEAST_SPREAD = 0.2  # growth of the width per row below which the beams count as parallel
LEAST_ROWS = 4  # cells of height from which edges can be fitted
FAR = 32.0  # distance of the apex of parallel beams, in picture sides


class Sector(NamedTuple):
    """Scan geometry of B pictures, lengths in sides of the square picture (0 left or top, 1 right or bottom).

    Attributes:
        axis: `(B,)` column of the probe's axis, about which the sector is symmetric.
        apex: `(B,)` row at which the beams meet; negative above the picture.
        near, far: `(B,)` distance from the apex to the probe's face and to the deepest echo.
        spread: `(B,)` tangent of the angle between the axis and the outermost beam.
        top, bottom: `(B,)` first and last row of the footprint.
    """

    axis: Tensor
    apex: Tensor
    near: Tensor
    far: Tensor
    spread: Tensor
    top: Tensor
    bottom: Tensor

    def polar(self, side: int) -> tuple[Tensor, Tensor]:
        """Depth and beam of every pixel, each `(B,1,S,S)`.

        Depth is 0 at the probe's face and 1 at the deepest echo, beam -1 and 1 at the sector's edges;
        both are extrapolated beyond the sector.
        """
        across, down = _offsets(self.axis, self.apex, side)
        depth = (torch.hypot(across, down) - _wide(self.near)) / _wide(self.far - self.near)
        return depth, across / down / _wide(self.spread)


def find_sector(pictures: Tensor) -> Sector:
    """The scan geometry of pictures `(B,C,S,S)` in 0..1, taken as upright (probe at the top).

    The axis is where the middles of the footprint's rows lie, the apex where its edges meet; medians
    keep captions and scale bars from mattering. A black picture counts as one linear scan.
    """
    grey = F.adaptive_avg_pool2d(pictures.detach().float().mean(1, keepdim=True), GRID)
    # Four of nine cells: specks vanish, corners stay.
    view = F.avg_pool2d((grey > BLACK).float(), 3, 1, 1, count_include_pad=False)[:, 0] > 0.4
    view |= ~view.flatten(1).any(1)[:, None, None]
    cells = torch.arange(GRID, device=view.device)
    left = torch.where(view, cells, GRID).amin(2)
    right = torch.where(view, cells, -1).amax(2) + 1
    # Rows cut by the picture's sides are used for the edges only when there are no others.
    free = view.any(2) & (left > 0) & (right < GRID)
    used = torch.where(free.sum(1, keepdim=True) >= LEAST_ROWS, free, view.any(2))
    axis = torch.where(used, left + right, torch.nan).nanmedian(1).values / (2 * GRID)
    top = view.any(2).float().argmax(1) / GRID
    bottom = 1 - view.any(2).flip(1).float().argmax(1) / GRID
    apex = _apex(torch.where(used, right - left, torch.nan) / GRID, top)
    across, down = _offsets(axis, apex, GRID)
    outside = ~view[:, None]
    distance = torch.hypot(across, down).masked_fill(outside, torch.nan).flatten(1)
    slope = (across / down).abs().masked_fill(outside, torch.nan).flatten(1)
    near, far = (distance.nanquantile(q, 1) for q in (0.01, 0.99))
    spread = slope.nanquantile(0.97, 1).clamp_min(1e-4)
    return Sector(axis, apex, near, far.maximum(near + 0.1), spread, top, bottom)


def _apex(width: Tensor, top: Tensor) -> Tensor:
    """Row `(B,)` where the edges of a footprint meet, from the widths `(B,GRID)` of its rows (or NaN)."""
    rows = (torch.arange(GRID, device=width.device) + 0.5) / GRID
    widest = width.nan_to_num(0).amax(1, keepdim=True)
    # Only down to where it is widest: below, the fan's lower arc or the picture's sides cut it.
    growing = torch.where((width >= 0.97 * widest).cumsum(1) <= 1, width, torch.nan)
    rise = growing[:, None] - growing[:, :, None]
    run = (rows[None, :] - rows[:, None]).expand_as(rise)
    spread = torch.where(run > 0, rise / run, torch.nan).flatten(1).nanmedian(1).values.nan_to_num(0)
    start = (growing - spread[:, None] * rows).nanmedian(1).values.nan_to_num(0)
    fan = (spread > LEAST_SPREAD) & (growing.isfinite().sum(1) >= LEAST_ROWS)
    apex = torch.where(fan, -start / spread.clamp_min(LEAST_SPREAD), -FAR)
    # The beams always cross above the first echo.
    return torch.minimum(apex.clamp_min(-FAR), top - 0.01)


def _offsets(axis: Tensor, apex: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Columns right of the axis `(B,1,S,S)` and rows below the apex, in sides of the picture."""
    centres = (torch.arange(side, device=axis.device) + 0.5) / side
    across = centres.view(1, 1, 1, side) - _wide(axis)
    down = (centres.view(1, 1, side, 1) - _wide(apex)).clamp_min(1e-3)
    return across.expand(-1, -1, side, -1), down.expand(-1, -1, -1, side)


def _wide(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
