"""Types of prompts for one object on one picture, in `xy` pixels of that picture.

`xy` is (column, row); an integer is a pixel's centre. A `PromptSet` belongs to one object; several
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
    """Rows `top` to `bottom` and columns `left` to `right` of a picture, the ends excluded."""

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
        """Index of the crop in an `(H,W)` array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


@dataclass(frozen=True)
class Point:
    """A click: `positive` (default) on the object, negative on what does not belong to it.

    >>> Point(40, 30), Point(12.5, 7, positive=False)
    (Point(x=40, y=30, positive=True), Point(x=12.5, y=7, positive=False))
    """

    x: float
    y: float
    positive: bool = True


@dataclass(frozen=True)
class Box:
    """A box that includes its corner pixels; two opposite corners in any order.

    >>> Box(9, 8, 1, 2)
    Box(x0=1.0, y0=2.0, x1=9.0, y1=8.0)
    """

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
    """Pixels painted on the object (`positive`, default) or beside it; `pixels` is `(H,W)` bool.

    A scribble without a pixel is no prompt:

        >>> bool(Scribble(np.zeros((4, 4), bool))), bool(Scribble(np.eye(4, dtype=bool)))
        (False, True)
    """

    pixels: Mask
    positive: bool = True

    def __bool__(self) -> bool:
        return bool(self.pixels.any())


@dataclass(frozen=True)
class Lasso:
    """A closed outline drawn around the object: at least three (x, y) corners.

    >>> len(Lasso(((20, 20), (60, 20), (40, 50))).polygon)
    3
    """

    polygon: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if len(self.polygon) < 3:
            raise PromptError(
                f"A lasso needs at least 3 corners; got {len(self.polygon)}. Draw a longer outline."
            )


@dataclass(frozen=True, eq=False)
class MaskPrompt:
    """The mask to refine, `(H,W)` bool: the previous answer or a mask painted by hand.

    >>> previous = np.zeros((48, 64), bool)
    >>> PromptSet((Point(5, 5, positive=False),), mask=MaskPrompt(previous)).lone_click
    False
    """

    mask: Mask


@dataclass(frozen=True)
class PromptSet:
    """All prompts for one object on one picture.

    A box with a click to correct it, checked against a picture of 48 rows and 64 columns:

        >>> prompts = PromptSet(points=(Point(30, 20),), box=Box(20, 10, 40, 30))
        >>> prompts.check((48, 64))
        >>> PromptSet(points=(Point(70, 20),)).check((48, 64))
        Traceback (most recent call last):
        uniultra.errors.PromptError: A prompt at x=70, y=20 lies outside the image of 64 x 48 pixels ...
    """

    points: tuple[Point, ...] = ()
    box: Box | None = None
    scribbles: tuple[Scribble, ...] = ()
    lasso: Lasso | None = None
    mask: MaskPrompt | None = None

    def __bool__(self) -> bool:
        return bool(self._given())

    def of(self, field: str) -> tuple[Any, ...]:
        """The prompts in a field of this set, as a tuple."""
        value = getattr(self, field)
        return value if isinstance(value, tuple) else () if value is None else (value,)

    @property
    def lone_click(self) -> bool:
        """Whether the set is a single positive click, which is ambiguous: it may mean a part or the whole."""
        given = self._given()
        return len(given) == 1 and isinstance(given[0], Point) and given[0].positive

    def _given(self) -> list[Any]:
        """All prompts but empty scribbles."""
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
