"""What an upload of the open image holds, and what to tell the person before it leaves."""

from __future__ import annotations

from typing import Any, Optional, Sequence

import numpy as np

from . import export, us_region
from .errors import SceneError
from .oblique import StillView

MAY = "Text burned into the pictures, such as a name or a date of birth, may be uploaded with them."


def content_bytes(image: Any, blanked: bool, regions: Sequence[us_region.Box] = ()) -> bytes:
    """The open image as NRRD: voxels and geometry, nothing else.

    Args:
        image: an `OpenVolume` or `OpenCine`.
        blanked: 0 outside the ultrasound region, found from the voxels.
        regions: 0 outside these boxes (x0,y0,x1,y1, corners included) of a frame; then nothing is searched.

    Raises:
        SceneError: blanked was asked for, and no region stands out.
    """
    if not blanked and not regions:
        return image.content()
    pictures = image.pictures()
    return export.nrrd_bytes(us_region.blank(pictures, _kept(pictures, regions)), image.ijk_to_ras())


def cut_bytes(image: Any, cut: StillView, blanked: bool, regions: Sequence[us_region.Box] = ()) -> bytes:
    """An oblique cut of the open image as NRRD of one slice; blanked where the image would be.

    Raises:
        SceneError: see `content_bytes`.
    """
    picture = cut.picture
    if blanked or regions:
        keep = _kept(image.pictures(), regions)
        i, j = (np.clip(np.rint(cut.ijk[..., n]).astype(int), 0, image.size[n] - 1) for n in (0, 1))
        picture = us_region.blank(picture[None], keep[j, i])[0]
    return export.nrrd_bytes(picture[None], np.eye(4))


def region_of(pictures: np.ndarray, regions: Sequence[us_region.Box] = ()) -> Optional[np.ndarray]:
    """What is kept of each picture, (H,W) bool: the boxes, else the ultrasound region, if one stands out."""
    if regions:
        return us_region.boxes_region(regions, (pictures.shape[1], pictures.shape[2]))
    return us_region.ultrasound_region(pictures)


def _kept(pictures: np.ndarray, regions: Sequence[us_region.Box]) -> np.ndarray:
    keep = region_of(pictures, regions)
    if keep is None:
        raise SceneError(
            "No ultrasound region stands out in these pictures, so nothing can be blanked by itself. "
            "Draw a box around it, or crop the image first."
        )
    return keep


def warning_text(pictures: np.ndarray) -> str:
    """Why pictures may name the patient. It never says that they do not."""
    keep = region_of(pictures)
    if keep is None:
        return (
            f"{MAY} No ultrasound region stands out, so they cannot be blanked by themselves: look at them."
        )
    if us_region.writing_outside(pictures, keep):
        return (
            f"{MAY} Something like writing stands outside the ultrasound region: blank it, or look at it "
            "first. Writing inside the region would stay."
        )
    return (
        f"{MAY} Nothing like it was found outside the ultrasound region, which is not certain: look at them."
    )
