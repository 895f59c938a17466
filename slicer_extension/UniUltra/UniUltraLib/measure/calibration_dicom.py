"""Reads the calibration from a DICOM header with the pydicom that Slicer bundles (2 and 3).

Only the elements listed here are read: no name, no date, no pixels.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, List, Optional, Sequence, Tuple, Union

from .calibration import DICOM_REGION, DICOM_SPACING, TWO_DIMENSIONAL, ImageCalibration, Region, uncalibrated

CENTIMETRES = 3  # PhysicalUnits (0018,6024), DICOM PS3.3 C.8.5.5.1.15
_READ = [
    "SequenceOfUltrasoundRegions",
    "PixelSpacing",
    "NominalScannedPixelSpacing",
    "SharedFunctionalGroupsSequence",
    "SpacingBetweenSlices",
    "SliceThickness",
]
# What pydicom raises on damaged headers, besides its own error.
_DAMAGED = (OSError, ValueError, AttributeError, TypeError, KeyError, EOFError)


def from_dicom(file: Union[str, Path], *, volume: bool = False) -> ImageCalibration:
    """The calibration of a DICOM file: its ultrasound regions or, without any, its pixel spacing.

    A file that cannot be read is uncalibrated.

    Args:
        volume: include the distance between slices.
    """
    import pydicom

    try:
        header = pydicom.dcmread(str(file), stop_before_pixels=True, specific_tags=_READ)
        return _of(header, volume)
    except (pydicom.errors.InvalidDicomError, *_DAMAGED):
        return uncalibrated("the DICOM header cannot be read; export the file again, or measure in pixels.")


def is_dicom(file: Union[str, Path]) -> bool:
    """Whether a file has the DICOM prefix, whatever its extension."""
    try:
        with Path(file).open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _of(header: Any, volume: bool) -> ImageCalibration:
    regions = _regions(header)
    plane = _positive(header, ("PixelSpacing", "NominalScannedPixelSpacing"), 2)
    if volume:
        if plane is None and regions:
            spacings = {r.spacing_mm for r in regions if r.spatial_format == TWO_DIMENSIONAL and r.spacing_mm}
            plane = spacings.pop() if len(spacings) == 1 else None
        depth = _positive(header, ("SpacingBetweenSlices", "SliceThickness"), 1)
        spacing = (*depth, *plane) if depth and plane else None
        return ImageCalibration(spacing, regions if spacing is None else (), DICOM_SPACING)
    if regions:
        return ImageCalibration(None, regions, DICOM_REGION)
    return ImageCalibration(plane, (), DICOM_SPACING)


def _regions(header: Any) -> Tuple[Region, ...]:
    regions = []
    for item in header.get("SequenceOfUltrasoundRegions") or ():
        bounds = [_number(item, f"RegionLocation{k}") for k in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
        if None in bounds:
            continue
        x0, y0, x1, y1 = (int(bound or 0) for bound in bounds)
        kinds = (int(_number(item, key) or 0) for key in ("RegionSpatialFormat", "RegionDataType"))
        regions.append(Region((x0, y0, x1, y1), *kinds, _region_spacing(item)))
    return tuple(regions)


def _region_spacing(item: Any) -> Optional[Tuple[float, float]]:
    if any(_number(item, f"PhysicalUnits{axis}Direction") != CENTIMETRES for axis in "YX"):
        return None
    deltas = [_number(item, f"PhysicalDelta{axis}") for axis in "YX"]
    if not all(deltas):
        return None
    # Delta Y is negative where the axis points up.
    return abs(deltas[0] or 0) * 10, abs(deltas[1] or 0) * 10


def _positive(header: Any, keywords: Sequence[str], count: int) -> Optional[Tuple[float, ...]]:
    """The first element with `count` positive numbers in the header, then in its shared functional groups."""
    for place in (header, _measures(header)):
        for keyword in keywords:
            values = _numbers(place, keyword)
            if len(values) == count and min(values) > 0:
                return tuple(values)
    return None


def _measures(header: Any) -> Any:
    for group in header.get("SharedFunctionalGroupsSequence") or ():
        for measures in group.get("PixelMeasuresSequence") or ():
            return measures
    return {}


def _number(item: Any, keyword: str) -> Optional[float]:
    values = _numbers(item, keyword)
    return values[0] if len(values) == 1 else None


def _numbers(item: Any, keyword: str) -> List[float]:
    value = item.get(keyword)
    if value is None or value == "":
        return []
    try:
        values = [float(v) for v in value] if hasattr(value, "__iter__") else [float(value)]
    except (TypeError, ValueError):
        return []
    return values if all(math.isfinite(v) for v in values) else []
