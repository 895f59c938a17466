"""Millimetres per pixel where a mask lies, where they come from, or why there are none.

A DICOM file calibrates each of its ultrasound regions by itself; a spacing of 1.0 is what files carry that
know nothing. So a calibration is looked up for a mask, never for an image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from ..prompts.planes import Plane

Spacing = Tuple[float, float]  # (dy,dx)
TWO_DIMENSIONAL = 1
TISSUE, COLOUR_FLOW = 1, 2

SERVER = "server"
DICOM_REGION = "DICOM ultrasound region"
DICOM_SPACING = "DICOM pixel spacing"
VOLUME_SPACING = "spacing of the volume's file"


@dataclass(frozen=True)
class Calibration:
    """What a pixel under a mask measures.

    Attributes:
        spacing_mm: (dy,dx) of a pixel of the picture; None when it is not known.
        source: where it comes from, for the table.
        problem: why there is none, and what to do; empty when there is one.
    """

    spacing_mm: Optional[Spacing]
    source: str
    problem: str = ""

    @property
    def text(self) -> str:
        """The calibration in words, for the table."""
        if self.spacing_mm is None:
            return f"uncalibrated: {self.problem}"
        return "{1:.6g} x {2:.6g} mm per pixel (x, y), {0}".format(self.source, *self.spacing_mm[::-1])


@dataclass(frozen=True)
class Region:
    """One ultrasound region of a picture (DICOM PS3.3 C.8.5.5).

    Attributes:
        bbox: (x0,y0,x1,y1), its corner pixels included.
        spatial_format: 1 is a two-dimensional picture; 2 M-mode, 3 a spectrum, whose axes are no lengths.
        data_type: 1 is tissue, 2 colour flow.
        spacing_mm: (dy,dx), None when its units are not lengths.
    """

    bbox: Tuple[int, int, int, int]
    spatial_format: int
    data_type: int
    spacing_mm: Optional[Spacing]

    def fits(self, shape: Tuple[int, ...]) -> bool:
        """Whether it lies on a picture of `shape` = (rows, columns); some files count one pixel too many."""
        x0, y0, x1, y1 = self.bbox
        return min(x0, y0) >= 0 and x1 <= shape[1] and y1 <= shape[0]

    def covers(self, mask: np.ndarray) -> np.ndarray:
        """The pixels of a mask that lie in the region."""
        x0, y0, x1, y1 = self.bbox
        inside = np.zeros(mask.shape, bool)
        inside[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = True
        return mask & inside


@dataclass(frozen=True)
class ImageCalibration:
    """What an image tells about its millimetres.

    Attributes:
        spacing_mm: (dy,dx), or (dz,dy,dx) of a volume, where the image tells one for all its pixels.
        regions: ultrasound regions; where there are any, they alone count on frames.
        source: where it comes from.
        problem: why there is no spacing.
    """

    spacing_mm: Optional[Tuple[float, ...]]
    regions: Tuple[Region, ...]
    source: str
    problem: str = "the file tells no millimetres per pixel; measure in pixels, or calibrate the image."

    @property
    def known(self) -> bool:
        """Whether it tells millimetres for any pixel."""
        return self.spacing_mm is not None or any(region.spacing_mm for region in self.regions)

    def at(self, mask: np.ndarray, plane: Plane) -> Calibration:
        """The calibration under a (rows, columns) mask on a plane."""
        if self.regions and plane.axis == "k" and len(self.spacing_mm or ()) != 3:
            return _of_regions(self.regions, np.asarray(mask, bool), self.source)
        spacing = self.spacing_mm
        if spacing is None or (len(spacing) == 2 and plane.axis != "k"):
            return Calibration(None, self.source, self.problem)
        by_axis = spacing[::-1]  # along i, j, k
        x, y = plane.in_plane
        return Calibration((by_axis[y], by_axis[x]), self.source)


def uncalibrated(problem: str) -> ImageCalibration:
    """An image without millimetres, and why."""
    return ImageCalibration(None, (), "none", problem)


def from_server(info: Mapping[str, Any]) -> ImageCalibration:
    """What the server tells with `GET /datastore/image/info`; see docs/measurements.md."""
    told = info.get("calibration")
    if not isinstance(told, dict):
        return uncalibrated("this server does not tell calibrations; update it, or open the file itself.")
    spacing = _positive(told.get("spacing_mm"), (2, 3))
    entries = told.get("regions")
    regions = [_told(entry) for entry in (entries if isinstance(entries, list) else [])]
    return ImageCalibration(spacing, tuple(r for r in regions if r), SERVER)


def from_spacing(spacing_ijk: Sequence[float], *, volume: bool) -> ImageCalibration:
    """The spacing of a NRRD, NIfTI or MetaImage file, (i,j,k), unless it is the 1.0 of a file that has none.

    `volume` says whether the third axis is one of space too.
    """
    used = _positive(list(spacing_ijk[:3] if volume else spacing_ijk[:2])[::-1], (2, 3))
    if used is None or all(value == 1.0 for value in used):
        return uncalibrated(
            "the file's spacing is 1.0, which files without a calibration carry; measure in pixels, or set "
            "the spacing in the Volumes module if you know it."
        )
    return ImageCalibration(used, (), VOLUME_SPACING)


def _of_regions(regions: Sequence[Region], mask: np.ndarray, source: str) -> Calibration:
    """The spacing of the regions that hold a mask; where they overlap, the smallest one holding it counts."""
    holding = [r for r in regions if mask.any() and r.covers(mask).sum() == mask.sum()]
    touched = [r for r in regions if r.covers(mask).any()]
    if holding:
        # A colour-flow region lies over its tissue region.
        chosen = [min(holding, key=lambda r: (r.bbox[2] - r.bbox[0] + 1) * (r.bbox[3] - r.bbox[1] + 1))]
    elif touched and _union(touched, mask).sum() == mask.sum():
        chosen = touched
    else:
        return Calibration(
            None,
            source,
            "the mask lies wholly or in part outside the calibrated regions; keep it within one of them.",
        )
    if any(r.spatial_format != TWO_DIMENSIONAL for r in chosen):
        return Calibration(
            None, source, "the mask lies on an M-mode or spectral region; measure on the 2D picture."
        )
    if any(not r.fits(mask.shape) for r in chosen):
        return Calibration(
            None,
            source,
            "the calibrated region is larger than the picture, which was resized after it was calibrated; "
            "measure on the original.",
        )
    spacings = [r.spacing_mm for r in chosen]
    first = spacings[0]
    if first is None or any(s is None for s in spacings):
        return Calibration(None, source, "the region under the mask tells no lengths; measure in pixels.")
    if not all(np.allclose(s, first, rtol=1e-3, atol=0) for s in spacings if s):
        return Calibration(
            None, source, "the mask lies on regions of different scale; keep it within one of them."
        )
    return Calibration(first, source)


def _union(regions: Sequence[Region], mask: np.ndarray) -> np.ndarray:
    return np.any([r.covers(mask) for r in regions], axis=0)


def _told(entry: Any) -> Optional[Region]:
    if not isinstance(entry, dict):
        return None
    bbox = entry.get("bbox")
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(_whole(n) for n in bbox):
        return None
    kinds = [entry.get(key) for key in ("spatial_format", "data_type")]
    if not all(_whole(kind) for kind in kinds):
        return None
    spacing = _positive(entry.get("spacing_mm"), (2,))
    return Region(tuple(bbox), *kinds, (spacing[0], spacing[1]) if spacing else None)  # type: ignore[arg-type]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _positive(values: Any, counts: Sequence[int]) -> Optional[Tuple[float, ...]]:
    """Numbers as a spacing; None when they cannot be one."""
    if not isinstance(values, (list, tuple)) or len(values) not in counts:
        return None
    numbers: List[float] = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        if not math.isfinite(value) or value <= 0:
            return None
        numbers.append(float(value))
    return tuple(numbers)
