"""Left-ventricular volume and ejection fraction from one apical four-chamber view.

Research use, not for diagnosis. Single-plane area-length: V = 8 A² / (3 pi L), A being the area of the cavity
and L its long axis, from the middle of the mitral annulus to the apex. Source: Dodge, Sandler, Ballew and
Lord, American Heart Journal 60(5), 1960; Lang et al., J Am Soc Echocardiogr 28(1), 2015, for the axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np

from .axes_ellipse import Line, farthest, line_length, long_axis
from .calibration import Calibration
from .mask_measures import MeasureError, Part, Value, part_of

PLACED, SUGGESTED = "placed", "suggested"


@dataclass(frozen=True)
class Ventricle:
    """The cavity on one frame.

    Attributes:
        values: area, long axis and volume.
        part: the measured part of the mask.
        frame: the number of the frame.
        annulus: the two ends of the mitral annulus, in pixels (x,y).
        axis: the long axis from the middle of the annulus to the apex, in pixels (x,y).
        annulus_by: `placed` by a person, or `suggested` from the mask.
        volume: the volume in ml, or in px³ without a calibration.
    """

    values: Tuple[Value, ...]
    part: Part
    frame: int
    annulus: Line
    axis: Line
    annulus_by: str
    volume: float


@dataclass(frozen=True)
class Ejection:
    """End-diastole, end-systole, stroke volume and ejection fraction."""

    diastole: Ventricle
    systole: Ventricle
    values: Tuple[Value, ...]
    notes: Tuple[str, ...]


def ventricle(
    mask: np.ndarray, calibration: Calibration, frame: int, annulus: Optional[Line] = None
) -> Ventricle:
    """The volume of the cavity from its (rows, columns) mask.

    Args:
        annulus: the two ends of the mitral annulus in pixels (x,y); without it they are suggested from the
            mask (see `suggest_annulus`), which a person has to check.

    Raises:
        MeasureError: the mask is empty, or the long axis has length 0.
    """
    part = part_of(mask, calibration)
    by = PLACED
    if annulus is None:
        annulus, by = part.to_pixels(suggest_annulus(part)), SUGGESTED
    first, second = (part.from_pixels(end) for end in annulus)
    middle = (first[0] + second[0]) / 2, (first[1] + second[1]) / 2
    axis = middle, farthest(part.outline, middle)
    height = line_length(axis)
    area = float(part.mask.sum()) * part.scale[0] * part.scale[1]
    if height == 0:
        raise MeasureError("The long axis has no length. Place the two ends of the annulus on the cavity.")
    volume = 8 * area**2 / (3 * np.pi * height)
    unit = part.unit
    values = (
        Value("left ventricle area", area, f"{unit}²"),
        Value("left ventricle long axis", height, unit),
        # 1 ml is 1000 mm³
        Value("left ventricle volume", volume / 1000, "ml")
        if unit == "mm"
        else Value("left ventricle volume", volume, "px³"),
    )
    return Ventricle(values, part, frame, annulus, part.to_pixels(axis), by, values[-1].value)


def ejection(diastole: Ventricle, systole: Ventricle) -> Ejection:
    """Stroke volume and ejection fraction from the frames marked end-diastole and end-systole.

    Raises:
        MeasureError: both are the same frame, their scales differ, or the end-diastolic volume is not larger.
    """
    if diastole.frame == systole.frame:
        raise MeasureError(
            "End-diastole and end-systole are marked on one frame. Mark the frame where the ventricle is "
            "largest, and the one where it is smallest."
        )
    first, second = diastole.part, systole.part
    if first.unit != second.unit or not np.allclose(first.scale, second.scale, rtol=1e-3, atol=0):
        raise MeasureError(
            "The two frames are calibrated differently. Mark both on the same part of the picture."
        )
    if systole.volume >= diastole.volume:
        raise MeasureError(
            "The ventricle is no larger at end-diastole than at end-systole. Exchange the two frames, or "
            "correct a mask."
        )
    stroke = diastole.volume - systole.volume
    unit = diastole.values[-1].unit
    notes = tuple(dict.fromkeys(first.notes + second.notes))
    if unit == "px³":
        notes += ("uncalibrated: the fraction holds only if pixels are square",)
    if SUGGESTED in (diastole.annulus_by, systole.annulus_by):
        notes += ("annulus suggested from the mask: look at it, and place it",)
    values = (
        Value("end-diastolic volume", diastole.volume, unit),
        Value("end-systolic volume", systole.volume, unit),
        Value("stroke volume", stroke, unit),
        Value("ejection fraction", 100 * stroke / diastole.volume, "%"),
    )
    return Ejection(diastole, systole, values, notes)


def suggest_annulus(part: Part) -> Line:
    """Estimate the mitral annulus: the two corners of the cavity's flat end, in the outline's unit.

    The ventricle tapers towards its apex: the narrower end of its longest axis is taken for the apex, and the
    annulus joins the two points of the other half that reach farthest down and to either side. This fails on
    a ventricle that is rounder at its base than at its apex.
    """
    start, end = (np.array(place) for place in long_axis(part.outline))
    along = (end - start) / max(float(np.hypot(*(end - start))), 1e-12)
    u, v = np.array([along, [-along[1], along[0]]]) @ (part.outline - start).T
    total = float(u.max() - u.min())
    near, far = u < u.min() + total / 5, u > u.max() - total / 5
    if np.ptp(v[near]) > np.ptp(v[far]):
        u = -u
    # The base is now at large u; a corner is the point that reaches farthest down and to one side.
    base = u > (u.max() + u.min()) / 2
    points, u, v = part.outline[base], u[base], v[base]
    left, right = points[(u - v).argmax()], points[(u + v).argmax()]
    return (float(left[0]), float(left[1])), (float(right[0]), float(right[1]))
