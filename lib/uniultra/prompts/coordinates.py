"""Conversion between the three coordinate systems; no other module converts coordinates.

- `ijk`: voxel of the stored file (column, row, slice), as Slicer sends it. An integer is a voxel's centre.
- `xy`: pixel (column, row) of a plane's picture: (i,j) for axis k, (i,k) for axis j, (j,k) for axis i.
- `model_xy`: pixel of the network's square input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from uniultra.errors import PromptError
from uniultra.images.types import PlaneAxis
from uniultra.prompts.types import Box

_IN_PLANE: dict[PlaneAxis, tuple[int, int]] = {"k": (0, 1), "j": (0, 2), "i": (1, 2)}
_ACROSS: dict[PlaneAxis, int] = {"i": 0, "j": 1, "k": 2}


def to_xy(ijk: Sequence[float], axis: PlaneAxis = "k") -> tuple[float, float]:
    """(x, y) of a voxel `[i,j,k]` on a plane across `axis`; a pixel `[x,y]` is returned unchanged.

    Raises:
        PromptError: not two or three finite numbers.
    """
    values = _numbers(ijk, (2, 3), "A point")
    if len(values) == 2:
        return values[0], values[1]
    column, row = _IN_PLANE[axis]
    return values[column], values[row]


def slice_of(points: Sequence[Sequence[float]], axis: PlaneAxis = "k") -> int | None:
    """Index across `axis` of the first point that has three coordinates, or None."""
    for point in points:
        values = _numbers(point, (2, 3), "A point")
        if len(values) == 3:
            return math.floor(values[_ACROSS[axis]] + 0.5)
    return None


def box_from_roi(roi: Sequence[float], axis: PlaneAxis = "k") -> Box:
    """The box of a MONAI Label `roi`, corners in any order.

    Four values are `[x0,y0,x1,y1]` in pixels of the picture (as MONAI Label's pathology clients
    send them); six are `[i0,i1,j0,j1,k0,k1]` (as its Slicer plugin does).

    Raises:
        PromptError: not four or six finite numbers.
    """
    values = _numbers(roi, (4, 6), "A roi")
    if len(values) == 4:
        return Box(*values)
    column, row = _IN_PLANE[axis]
    return Box(values[2 * column], values[2 * row], values[2 * column + 1], values[2 * row + 1])


@dataclass(frozen=True)
class Fit:
    """Geometry of a picture of `rows` x `columns` resized to the network's square input of side `size`.

    Attributes:
        rows, columns: of the picture.
        size: side of the square input in pixels.
        mode: `squash` (default) scales both sides to the square; `pad` keeps the aspect ratio and pads with
            zeros at the right and the bottom, as SAM does.

    A picture of 480 x 640 pixels on an input of 256: its centre, padded, and the part that it covers.

        >>> fit = Fit(480, 640, 256, "pad")
        >>> fit.inner, fit.to_model(319.5, 239.5)
        ((192, 256), (127.5, 95.5))
    """

    rows: int
    columns: int
    size: int
    mode: Literal["squash", "pad"] = "squash"

    @property
    def inner(self) -> tuple[int, int]:
        """(rows, columns) of the part of the square that the picture covers."""
        if self.mode == "squash":
            return self.size, self.size
        scale = self.size / max(self.rows, self.columns)
        return max(1, round(self.rows * scale)), max(1, round(self.columns * scale))

    def to_model(self, x: float, y: float) -> tuple[float, float]:
        """`model_xy` of a pixel `xy`."""
        rows, columns = self.inner
        return (x + 0.5) * columns / self.columns - 0.5, (y + 0.5) * rows / self.rows - 0.5

    def square(self, picture: Tensor) -> Tensor:
        """Resize a picture `(C,H,W)` to `(C,S,S)`, antialiased, with zeros in the padding."""
        inner = F.interpolate(picture[None], self.inner, mode="bilinear", antialias=True)[0]
        rows, columns = self.inner
        return F.pad(inner, (0, self.size - columns, 0, self.size - rows))

    def cells(self, grid: Tensor, side: int) -> Tensor:
        """Average a picture-sized grid `(H,W)` over the cells of a `(side,side)` grid of the square."""
        rows, columns = (max(1, round(n * side / self.size)) for n in self.inner)
        inner = F.interpolate(grid[None, None], (rows, columns), mode="area")[0, 0]
        return F.pad(inner, (0, side - columns, 0, side - rows))

    def picture(self, logits: Tensor) -> Tensor:
        """Resize logits `(N,g,g)` of the square to the picture, `(N,H,W)`."""
        rows, columns = self.inner
        if (rows, columns) != (self.size, self.size):
            logits = F.interpolate(logits[None], (self.size, self.size), mode="bilinear")[0]
            logits = logits[:, :rows, :columns]
        return F.interpolate(logits[None], (self.rows, self.columns), mode="bilinear")[0]


def _numbers(values: Sequence[float], lengths: tuple[int, int], what: str) -> list[float]:
    try:
        if isinstance(values, str | bytes) or any(isinstance(v, bool | str) for v in values):
            raise TypeError
        numbers = [float(v) for v in values]
    except (TypeError, ValueError, OverflowError):
        raise PromptError(f"{what} must be a list of numbers.") from None
    if len(numbers) not in lengths or not all(map(math.isfinite, numbers)):
        raise PromptError(
            f"{what} must be {lengths[0]} or {lengths[1]} finite numbers; got {len(numbers)} values."
        )
    return numbers
