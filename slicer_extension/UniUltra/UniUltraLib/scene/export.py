"""Uploads of the open image as uncompressed NRRD, and the warning to show before one.

A file holds voxels and geometry only: no name, no attribute and no DICOM header of the node. The same voxels
in the same place always give the same bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import SceneError
from ..prompts.nrrd import nrrd_bytes
from . import us_region
from .oblique import StillView, sample

MAY = "Text burned into the pictures, such as a name or a date of birth, may be uploaded with them."


def content_bytes(image: Any, blanked: bool) -> bytes:
    """The open image (`OpenVolume` or `OpenCine`) as NRRD, without parent transforms.

    A cine becomes one image of (I,J,T) voxels in the place of its first frame. The file does not say that it
    is a cine: send `axis_kind="cine"` with it.

    Args:
        blanked: set pixels outside the ultrasound region to 0; the region is found from the voxels.

    Raises:
        SceneError: the image has no voxels, pixels that are neither grey nor RGB(A), or frames that differ in
            size; or it was to be blanked and no region was found.
    """
    return nrrd_bytes(_blank(image) if blanked else image.pictures(), image.ijk_to_ras())


def cut_bytes(image: Any, cut: StillView, blanked: bool) -> bytes:
    """An oblique cut of the open image as NRRD of one slice, blanked where the image would be.

    Raises:
        SceneError: see `content_bytes`.
    """
    # Blanked before it is cut: interpolation would mix pixels from outside into the edge of the region.
    picture = sample(_blank(image), cut.ijk, cut.inside) if blanked else cut.picture
    return nrrd_bytes(picture[None], np.eye(4))


def warning_text(pictures: np.ndarray) -> str:
    """Why pictures may name the patient. It never claims that they do not."""
    keep = us_region.ultrasound_region(pictures)
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


def _blank(image: Any) -> np.ndarray:
    pictures = image.pictures()
    keep = us_region.ultrasound_region(pictures)
    if keep is None:
        raise SceneError(
            "No ultrasound region stands out in these pictures, so nothing can be blanked by itself. Crop "
            "the image first; or look at it, place the prompt again, and choose to send it as it is."
        )
    return us_region.blank(pictures, keep)
