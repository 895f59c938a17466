"""Millimetres per pixel under a mask, their source, or why they are unknown.

A DICOM file calibrates each of its ultrasound regions separately, and uncalibrated files carry a spacing of
1.0. Therefore a calibration is looked up for a mask, never for an image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from ..prompts.planes import Plane

Spacing = Tuple[float, float]  # (dy,dx)
TWO_DIMENSIONAL = 1  # `spatial_format` of B-mode

SERVER = "server"
DICOM_REGION = "DICOM ultrasound region"
DICOM_SPACING = "DICOM pixel spacing"
VOLUME_SPACING = "spacing of the volume's file"


@dataclass(frozen=True)
class Calibration:
    """The pixel size under a mask.

    Attributes:
        spacing_mm: (dy,dx) of a pixel; None when it is unknown.
        source: the origin of the spacing, for the table.
        problem: why the spacing is unknown, and what to do; empty when it is known.
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
        bbox: (x0,y0,x1,y1), inclusive.
        spatial_format: 1 is 2D; 2 is M-mode and 3 a spectrum, whose axes are not lengths.
        data_type: 1 is tissue, 2 colour flow.
        spacing_mm: (dy,dx); None when the units are not lengths.
    """

    bbox: Tuple[int, int, int, int]
    spatial_format: int
    data_type: int
    spacing_mm: Optional[Spacing]

    def fits(self, shape: Tuple[int, ...]) -> bool:
        """Whether the region lies on a picture (rows, columns); some files count one pixel too many."""
        x0, y0, x1, y1 = self.bbox
        return min(x0, y0) >= 0 and x1 <= shape[1] and y1 <= shape[0]

    @property
    def area(self) -> int:
        """The number of pixels."""
        x0, y0, x1, y1 = self.bbox
        return (x1 - x0 + 1) * (y1 - y0 + 1)

    def covers(self, mask: np.ndarray) -> np.ndarray:
        """The pixels of a mask that lie in the region."""
        x0, y0, x1, y1 = self.bbox
        inside = np.zeros(mask.shape, bool)
        inside[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = True
        return mask & inside


@dataclass(frozen=True)
class ImageCalibration:
    """The calibration of a whole image.

    Attributes:
        spacing_mm: (dy,dx), or (dz,dy,dx) of a volume, where one spacing holds for all pixels.
        regions: ultrasound regions; if there are any, only they count on frames.
        source: the origin of the calibration.
        problem: why the spacing is unknown.
    """

    spacing_mm: Optional[Tuple[float, ...]]
    regions: Tuple[Region, ...]
    source: str
    problem: str = "the file gives no millimetres per pixel; measure in pixels, or calibrate the image."

    @property
    def calibrated(self) -> bool:
        """Whether any pixel has a size in millimetres."""
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
    """The calibration of an image without one, with the reason."""
    return ImageCalibration(None, (), "none", problem)


def from_server(info: Mapping[str, Any]) -> ImageCalibration:
    """Read the server's answer to `GET /datastore/image/info`; see docs/measurements.md."""
    calibration = info.get("calibration")
    if not isinstance(calibration, dict):
        return uncalibrated("this server sends no calibrations; update it, or open the file itself.")
    spacing = _positive(calibration.get("spacing_mm"), (2, 3))
    entries = calibration.get("regions")
    regions = map(_region_of, entries if isinstance(entries, list) else [])
    return ImageCalibration(spacing, tuple(region for region in regions if region), SERVER)


def from_spacing(spacing_ijk: Sequence[float], *, volume: bool) -> ImageCalibration:
    """The calibration by the spacing (i,j,k) of a NRRD, NIfTI or MetaImage file, unless all of it is 1.0.

    Args:
        volume: whether the third axis is a spatial one too.
    """
    spacing = _positive(list(spacing_ijk[:3] if volume else spacing_ijk[:2])[::-1], (2, 3))
    if spacing is None or set(spacing) == {1.0}:
        return uncalibrated(
            "the file's spacing is 1.0, which files without a calibration carry; measure in pixels, or set "
            "the spacing in the Volumes module if you know it."
        )
    return ImageCalibration(spacing, (), VOLUME_SPACING)


def _of_regions(regions: Sequence[Region], mask: np.ndarray, source: str) -> Calibration:
    chosen = _under(regions, mask)
    problem = _problem_of(chosen, mask.shape)
    return Calibration(None if problem else chosen[0].spacing_mm, source, problem)


def _under(regions: Sequence[Region], mask: np.ndarray) -> List[Region]:
    """The regions that calibrate a mask: the smallest that contains it, else all that cover it together.

    Empty when a part of the mask lies outside all regions, or when the mask is empty.
    """
    parts = [(region, region.covers(mask)) for region in regions]
    parts = [(region, part) for region, part in parts if part.any()]
    whole = [region for region, part in parts if (part == mask).all()]
    if whole:
        # The smallest, because a colour-flow region lies over its tissue region.
        return [min(whole, key=lambda region: region.area)]
    together = np.any([part for _, part in parts], axis=0)
    return [region for region, _ in parts] if (together == mask).all() else []


def _problem_of(regions: Sequence[Region], shape: Tuple[int, ...]) -> str:
    """Why the regions under a mask on a picture of `shape` give no common spacing; empty when they do."""
    spacings = [region.spacing_mm for region in regions]
    if not regions:
        return "the mask lies wholly or in part outside the calibrated regions; keep it within one of them."
    if any(region.spatial_format != TWO_DIMENSIONAL for region in regions):
        return "the mask lies on an M-mode or spectral region; measure on the 2D picture."
    if not all(region.fits(shape) for region in regions):
        return (
            "the calibrated region is larger than the picture, which was resized after it was calibrated; "
            "measure on the original."
        )
    if None in spacings:
        return "the region under the mask gives no lengths; measure in pixels."
    if not np.allclose(spacings, spacings[:1], rtol=1e-3, atol=0):
        return "the mask lies on regions of different scale; keep it within one of them."
    return ""


def _region_of(entry: Any) -> Optional[Region]:
    """A region of the server's answer; None when the entry is malformed."""
    if not isinstance(entry, dict):
        return None
    bbox, kinds = entry.get("bbox"), [entry.get(key) for key in ("spatial_format", "data_type")]
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_whole, [*bbox, *kinds])):
        return None
    spacing = _positive(entry.get("spacing_mm"), (2,))
    return Region(tuple(bbox), *kinds, spacing)  # type: ignore[arg-type]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _positive(values: Any, counts: Sequence[int]) -> Optional[Tuple[float, ...]]:
    """A spacing of finite positive numbers; None when `values` are something else."""
    if not isinstance(values, (list, tuple)) or len(values) not in counts:
        return None
    numbers = [n for n in values if isinstance(n, (int, float)) and not isinstance(n, bool)]
    valid = len(numbers) == len(values) and all(math.isfinite(n) and n > 0 for n in numbers)
    return tuple(map(float, numbers)) if valid else None
