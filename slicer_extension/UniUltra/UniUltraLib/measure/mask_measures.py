"""Area, perimeter, axes and head circumference of a mask, in mm where the picture is calibrated.

Research use, not for diagnosis. Formulas and limits: docs/measurements.md. Everything is computed on points
in mm, so that pixels need not be square; line ends for drawing are in pixels (x,y) of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from ..errors import UniUltraLibError
from .axes_ellipse import Line, Point, fit_ellipse, line_length, long_axis, short_axis
from .binary_shapes import largest_component
from .calibration import Calibration
from .contours import length, outlines, smooth

RESEARCH = "Research use, not for diagnosis"


class MeasureError(UniUltraLibError):
    """A mask, or a pair of masks, cannot be measured."""


@dataclass(frozen=True)
class Value:
    """A number of the table: `unit` is mm, mm², ml, %, or px, px², px³ without a calibration."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True)
class Part:
    """The measured part of a mask, and its outline in mm.

    Attributes:
        mask: (rows, columns), the largest 8-connected component.
        outline: (N,2), its outer outline in mm; in pixels without a calibration.
        scale: (sx,sy), mm per pixel along x and y; (1,1) without a calibration.
        calibration: the source of `scale`.
        notes: remarks on the numbers, for the table.
    """

    mask: np.ndarray
    outline: np.ndarray
    scale: Tuple[float, float]
    calibration: Calibration
    notes: Tuple[str, ...]

    @property
    def unit(self) -> str:
        """The unit of lengths: mm or px."""
        return "px" if self.calibration.spacing_mm is None else "mm"

    def to_pixels(self, line: Line) -> Line:
        """Convert a line from the outline's unit to pixels (x,y)."""
        (ax, ay), (bx, by) = line
        sx, sy = self.scale
        return (ax / sx, ay / sy), (bx / sx, by / sy)

    def from_pixels(self, place: Point) -> Point:
        """Convert a pixel (x,y) to the outline's unit."""
        return place[0] * self.scale[0], place[1] * self.scale[1]


@dataclass(frozen=True)
class Measured:
    """The measurements of a mask.

    Attributes:
        values: the numbers, in the order of the table.
        part: the measured part of the mask.
        long_axis, short_axis: the ends of the axes in pixels (x,y), for drawing.
    """

    values: Tuple[Value, ...]
    part: Part
    long_axis: Line
    short_axis: Line

    def value(self, name: str) -> float:
        """The number with a name."""
        return next(v.value for v in self.values if v.name == name)


def part_of(mask: np.ndarray, calibration: Calibration) -> Part:
    """The measured part of a (rows, columns) mask: its largest component.

    Raises:
        MeasureError: the mask is empty, or not two-dimensional.
    """
    mask = np.asarray(mask, bool)
    if mask.ndim != 2:
        raise MeasureError(f"Expected a mask of one picture; got {mask.ndim} dimensions. Choose one plane.")
    if not mask.any():
        raise MeasureError("Expected a mask; it is empty here. Segment the structure on this picture first.")
    largest, count = largest_component(mask)
    dy, dx = calibration.spacing_mm or (1.0, 1.0)
    curves = outlines(largest)
    notes = _notes(mask, largest, count, len(curves) - 1)
    return Part(largest, curves[0] * (dx, dy), (dx, dy), calibration, notes)


def measure(mask: np.ndarray, calibration: Calibration, *, head: bool = False) -> Measured:
    """Area, perimeter, long and short axis of a (rows, columns) mask; with `head` its circumference too.

    Raises:
        MeasureError: see `part_of`; or no ellipse fits the head.

    Examples:
        >>> mask = np.pad(np.ones((40, 80), bool), 10)
        >>> measured = measure(mask, Calibration(spacing_mm=(0.5, 0.25), source="DICOM"))
        >>> [(value.name, round(value.value), value.unit) for value in measured.values[:2]]
        [('area', 400, 'mm²'), ('perimeter', 79, 'mm')]
    """
    part = part_of(mask, calibration)
    unit, (dx, dy) = part.unit, part.scale
    longest = long_axis(part.outline)
    across = short_axis(part.outline, longest)
    rounded = smooth(part.outline / (dx, dy)) * (dx, dy)
    values = [
        Value("area", float(part.mask.sum()) * dx * dy, f"{unit}²"),
        Value("perimeter", length(rounded), unit),
        Value("long axis", line_length(longest), unit),
        Value("short axis", line_length(across), unit),
    ]
    if head:
        ellipse = fit_ellipse(part.outline)
        if ellipse is None:
            raise MeasureError(
                "No ellipse fits this outline. Correct the mask so that it shows a whole head."
            )
        values += [
            Value("head circumference", ellipse.circumference, unit),
            Value("ellipse long axis", 2 * ellipse.a, unit),
            Value("ellipse short axis", 2 * ellipse.b, unit),
        ]
    return Measured(tuple(values), part, part.to_pixels(longest), part.to_pixels(across))


def _notes(mask: np.ndarray, largest: np.ndarray, count: int, holes: int) -> Tuple[str, ...]:
    notes = []
    if count > 1:
        share = 100 * largest.sum() / mask.sum()
        notes.append(f"largest of {count} components used ({share:.1f} % of the mask's pixels)")
    if holes:
        notes.append(
            f"{holes} hole{'s' if holes > 1 else ''}: not part of the area, no part of the other numbers"
        )
    if largest[[0, -1]].any() or largest[:, [0, -1]].any():
        notes.append("touches the edge of the picture: the structure may be cut off")
    return tuple(notes)
