"""What a person can say about one object on one picture, in `xy` pixels of that picture.

`xy` is (column, row); an integer is a pixel centre. A `PromptSet` belongs to one object; several
objects are several sets.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import PromptError

Mask = NDArray[np.bool_]  # (H,W)


class Crop(NamedTuple):
    """Rows `top` to `bottom` and columns `left` to `right` of a picture, the latter of each not included."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """The same for a `(H,W)` array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


@dataclass(frozen=True)
class Point:
    """A click. `positive` says the pixel belongs to the object."""

    x: float
    y: float
    positive: bool = True


@dataclass(frozen=True)
class Box:
    """A box that includes its corner pixels; give its corners in any order."""

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        xs, ys = sorted((self.x0, self.x1)), sorted((self.y0, self.y1))
        for name, value in zip(("x0", "y0", "x1", "y1"), (xs[0], ys[0], xs[1], ys[1]), strict=True):
            object.__setattr__(self, name, float(value))


@dataclass(frozen=True, eq=False)
class Scribble:
    """Pixels painted over the object (`positive`) or beside it; `pixels` is (H,W) bool."""

    pixels: Mask
    positive: bool = True

    def __bool__(self) -> bool:
        return bool(self.pixels.any())


@dataclass(frozen=True)
class Lasso:
    """A closed outline drawn around the object: at least three (x, y) corners."""

    polygon: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if len(self.polygon) < 3:
            raise PromptError(
                f"A lasso needs at least 3 corners; got {len(self.polygon)}. Draw a longer outline."
            )


@dataclass(frozen=True, eq=False)
class MaskPrompt:
    """The mask to refine, (H,W) bool: the previous answer or one painted by hand."""

    mask: Mask


@dataclass(frozen=True)
class PromptSet:
    """Every prompt given for one object on one picture."""

    points: tuple[Point, ...] = ()
    box: Box | None = None
    scribbles: tuple[Scribble, ...] = ()
    lasso: Lasso | None = None
    mask: MaskPrompt | None = None

    def __bool__(self) -> bool:
        return bool(self._given())

    def of(self, field: str) -> tuple[Any, ...]:
        """The prompts in a field: several, one or none."""
        value = getattr(self, field)
        return value if isinstance(value, tuple) else () if value is None else (value,)

    @property
    def lone_click(self) -> bool:
        """Whether this is one positive click and nothing else, which may mean a part or the whole."""
        given = self._given()
        return len(given) == 1 and isinstance(given[0], Point) and given[0].positive

    def _given(self) -> list[Any]:
        """All prompts, without scribbles of no pixel."""
        return [prompt for field in fields(self) for prompt in self.of(field.name) if prompt]

    def check(self, shape: tuple[int, int]) -> None:
        """Refuse prompts that cannot belong to a picture of `shape` = (rows, columns).

        Raises:
            PromptError: no prompt at all, a coordinate outside the picture or not finite, or a
                scribble or mask of another size.
        """
        rows, columns = shape
        if not self:
            raise PromptError("Expected at least one point, box, scribble, lasso or mask; got none.")
        corners = [(p.x, p.y) for p in self.points]
        if self.box:
            corners += [(self.box.x0, self.box.y0), (self.box.x1, self.box.y1)]
        if self.lasso:
            corners += list(self.lasso.polygon)
        for x, y in corners:
            if not (-0.5 <= x < columns - 0.5 and -0.5 <= y < rows - 0.5):
                raise PromptError(
                    f"A prompt at x={x:g}, y={y:g} lies outside the image of {columns} x {rows} pixels "
                    "(columns x rows). Place it on the image."
                )
        grids = [s.pixels for s in self.scribbles] + ([self.mask.mask] if self.mask else [])
        for grid in grids:
            if grid.shape != shape:
                raise PromptError(
                    f"A scribble or mask must have the image's {rows} x {columns} pixels (rows x columns); "
                    f"got {' x '.join(map(str, grid.shape))}."
                )
