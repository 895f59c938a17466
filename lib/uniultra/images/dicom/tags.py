"""Axis kind, calibration, ultrasound regions and frame times from a DICOM header."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from uniultra.errors import ImageError
from uniultra.images.dicom.file import dicom_damage
from uniultra.images.types import AxisKind, Region

ENHANCED_US_VOLUME = "1.2.840.10008.5.1.4.1.1.6.2"
CENTIMETRES = 3
TWO_DIMENSIONAL, TISSUE, COLOUR_FLOW = 1, 1, 2


def numbers(dataset: Any, keyword: str) -> tuple[float, ...]:
    """The finite numbers of an element; empty when it is absent or malformed."""
    try:
        value = dataset.get(keyword)
        if value is None or value == "":
            return ()
        parsed = tuple(float(v) for v in (value if np.iterable(value) else (value,)))
    except dicom_damage():
        return ()
    return parsed if all(math.isfinite(v) for v in parsed) else ()


def suggested_axis_kind(dataset: Any, frames: int) -> AxisKind:
    """Volume for Enhanced US Volume and for stacks without time; cine for ultrasound over time.

    Raises:
        ImageError: an Enhanced US Volume that holds several volumes over time.
    """
    if str(dataset.get("SOPClassUID", "")) == ENHANCED_US_VOLUME:
        planes = _plane_positions(dataset)
        if planes and planes < frames:
            raise ImageError(
                f"Expected one volume; the file holds {frames} slices at {planes} positions, so several "
                "volumes over time. Export one time point."
            )
        return AxisKind.VOLUME
    timed = any(numbers(dataset, k) for k in ("FrameTime", "FrameTimeVector", "CineRate"))
    ultrasound = str(dataset.get("Modality", "")).strip() in ("US", "IVUS")
    return AxisKind.CINE if ultrasound or timed else AxisKind.VOLUME


def _plane_positions(dataset: Any) -> int:
    """Number of distinct slice positions in the per-frame functional groups."""
    positions = set()
    for group in dataset.get("PerFrameFunctionalGroupsSequence") or ():
        for keyword, inner in (
            ("PlanePositionVolumeSequence", "ImagePositionVolume"),
            ("PlanePositionSequence", "ImagePositionPatient"),
        ):
            if keyword in group and len(group[keyword].value):
                positions.add(numbers(group[keyword].value[0], inner))
    return len(positions)


def regions(dataset: Any) -> tuple[Region, ...]:
    """The ultrasound regions in file order; regions with malformed bounds are skipped."""
    listed = []
    for item in dataset.get("SequenceOfUltrasoundRegions") or ():
        bounds = [numbers(item, f"RegionLocation{k}") for k in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
        if not all(len(b) == 1 for b in bounds):
            continue
        x0, y0, x1, y1 = (int(b[0]) for b in bounds)
        spatial, data = (
            int((numbers(item, k) or (0.0,))[0]) for k in ("RegionSpatialFormat", "RegionDataType")
        )
        listed.append(Region(x0, y0, x1, y1, spatial, data, _region_spacing(item)))
    return tuple(listed)


def _region_spacing(item: Any) -> tuple[float, float] | None:
    units = [numbers(item, f"PhysicalUnits{axis}Direction") for axis in "YX"]
    deltas = [numbers(item, f"PhysicalDelta{axis}") for axis in "YX"]
    if any(u != (CENTIMETRES,) for u in units) or any(len(d) != 1 or d[0] == 0 for d in deltas):
        return None
    # Delta Y is negative where the axis points up.
    return abs(deltas[0][0]) * 10, abs(deltas[1][0]) * 10


def plane_spacing(dataset: Any, listed: tuple[Region, ...]) -> tuple[float, float] | None:
    """`(dy,dx)` in mm: of the tissue regions if they agree, else of the pixel spacing attributes.

    A file without 2D tissue regions may have a colour-flow region, whose calibration is as good. Where a
    region reaches beyond the picture's border, the picture was resized after calibration: None.
    """
    rows, columns = (numbers(dataset, keyword) for keyword in ("Rows", "Columns"))
    if rows and columns and any(r.x1 > columns[0] or r.y1 > rows[0] for r in listed):
        return None
    for kind in ((TWO_DIMENSIONAL, TISSUE), (TWO_DIMENSIONAL, COLOUR_FLOW)):
        spacings = [r.spacing_mm for r in listed if (r.spatial_format, r.data_type) == kind and r.spacing_mm]
        if spacings:
            return spacings[0] if np.allclose(spacings, spacings[0], rtol=1e-3, atol=0) else None
    measures = functional_group(dataset, "PixelMeasuresSequence", {})
    for keyword in ("PixelSpacing", "NominalScannedPixelSpacing"):
        value = numbers(dataset, keyword) or numbers(measures, keyword)
        if len(value) == 2 and min(value) > 0:
            return value[0], value[1]
    return None


def volume_spacing(dataset: Any, plane: tuple[float, float] | None) -> tuple[float, float, float] | None:
    """`(dz,dy,dx)` in mm, or None when the distance between slices is not given."""
    for source in (dataset, functional_group(dataset, "PixelMeasuresSequence", {})):
        for keyword in ("SpacingBetweenSlices", "SliceThickness"):
            value = numbers(source, keyword)
            if plane and len(value) == 1 and value[0] > 0:
                return value[0], *plane
    return None


def functional_group(dataset: Any, keyword: str, otherwise: Any) -> Any:
    """The first item of a functional group shared by all frames, else `otherwise`."""
    for group in dataset.get("SharedFunctionalGroupsSequence") or ():
        items = group.get(keyword)
        if items:
            return items[0]
    return otherwise


def frame_times(dataset: Any, frames: int) -> tuple[float, ...] | None:
    """Start of each frame in ms, the first at 0; None when the header has no frame rate."""
    if frames < 2:
        return None
    vector = numbers(dataset, "FrameTimeVector")
    if len(vector) in (frames, frames - 1) and min(vector) >= 0 and sum(vector) > 0:
        # With one increment per frame, the first one belongs to the first frame and is skipped.
        steps = vector[-(frames - 1) :]
        return tuple(float(v) for v in np.concatenate([[0.0], np.cumsum(steps)]))
    period = numbers(dataset, "FrameTime")
    if len(period) == 1 and period[0] > 0:
        return tuple(t * period[0] for t in range(frames))
    for keyword in ("CineRate", "RecommendedDisplayFrameRate"):
        rate = numbers(dataset, keyword)
        if len(rate) == 1 and rate[0] > 0:
            return tuple(t * 1000.0 / rate[0] for t in range(frames))
    return None
