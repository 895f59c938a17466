"""Planes of an image: frames and slices as pictures, and the mapping between their pixels and the voxels.

`ijk` is a voxel of the stored image (column, row, slice), `xy` a pixel (column, row) of a picture; integers
are centres in both. The picture across axis k shows (i,j), across j it shows (i,k), across i it shows (j,k).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Sequence, Tuple

from ..errors import OutsideImage, PromptsError

Size = Tuple[int, int, int]
Voxel = Tuple[int, int, int]

AXES = ("i", "j", "k")
_IN_PLANE = {"i": (1, 2), "j": (0, 2), "k": (0, 1)}


@dataclass(frozen=True)
class Plane:
    """The voxels with coordinate `index` along `axis` (i, j or k); frame n of a cine is `Plane("k", n)`."""

    axis: str
    index: int

    def __post_init__(self) -> None:
        if self.axis not in AXES:
            raise PromptsError(f"A plane's axis is i, j or k; got {self.axis!r}. Name one of the three.")

    @property
    def normal(self) -> int:
        """Position of the plane's axis in an ijk triple: 0, 1 or 2."""
        return AXES.index(self.axis)

    @property
    def in_plane(self) -> Tuple[int, int]:
        """Positions, in an ijk triple, of the picture's x and y."""
        return _IN_PLANE[self.axis]

    def shape(self, size: Size) -> Tuple[int, int]:
        """(rows, columns) of this plane's picture in an image of `size` = (I,J,K)."""
        x, y = self.in_plane
        return size[y], size[x]

    def extent(self, size: Size) -> Tuple[int, int, int, int, int, int]:
        """The plane's voxels as (i0,i1,j0,j1,k0,k1), inclusive."""
        bounds = [[0, n - 1] for n in size]
        bounds[self.normal] = [self.index, self.index]
        return tuple(edge for pair in bounds for edge in pair)  # type: ignore[return-value]

    def to_xy(self, ijk: Sequence[float]) -> Tuple[float, float]:
        """The pixel of a voxel, projected onto the plane."""
        x, y = self.in_plane
        return ijk[x], ijk[y]

    def to_ijk(self, x: float, y: float) -> Tuple[float, float, float]:
        """The voxel of a pixel."""
        ijk = [float(self.index)] * 3
        ijk[self.in_plane[0]], ijk[self.in_plane[1]] = x, y
        return ijk[0], ijk[1], ijk[2]

    def to_dict(self) -> Dict[str, object]:
        """The plane as JSON, such as `{"axis": "k", "index": 3}`."""
        return {"axis": self.axis, "index": self.index}

    @classmethod
    def from_dict(cls, value: object) -> Plane:
        """The plane that `to_dict` wrote.

        Raises:
            PromptsError: `value` is not an axis and a whole number from 0 up.
        """
        index = value.get("index") if isinstance(value, dict) else None
        if not isinstance(value, dict) or isinstance(index, bool) or not isinstance(index, int) or index < 0:
            raise PromptsError("A plane is an axis (i, j or k) and an index from 0 up; got something else.")
        return cls(str(value.get("axis")), index)

    def check(self, size: Size) -> None:
        """Check that an image of `size` = (I,J,K) has this plane.

        Raises:
            OutsideImage: the index is too large.
        """
        count = size[self.normal]
        if not 0 <= self.index < count:
            raise OutsideImage(
                f"Plane {self.index} across {self.axis} does not exist: {describe(size)} has planes 0 to "
                f"{count - 1} there. Scroll the slice view back onto the image."
            )


def describe(size: Size) -> str:
    """An image's size in words."""
    return f"the image of {size[0]} x {size[1]} x {size[2]} voxels (i x j x k)"


def nearest_voxel(ijk: Sequence[float], size: Size) -> Voxel:
    """The voxel that contains a continuous ijk position.

    Raises:
        OutsideImage: the position lies outside the voxels of an image of `size` = (I,J,K).
    """
    if any(not -0.5 <= c < n - 0.5 for c, n in zip(ijk, size)):  # noqa: B905 - Python 3.9
        place = ", ".join(f"{c:.1f}" for c in ijk)
        raise OutsideImage(f"The position ({place}) lies outside {describe(size)}. Place it on the image.")
    i, j, k = (min(max(round(c), 0), n - 1) for c, n in zip(ijk, size))  # noqa: B905 - Python 3.9
    return i, j, k
