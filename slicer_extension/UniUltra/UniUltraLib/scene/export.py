"""What leaves this machine of an image, and what to tell the person before: uncompressed NRRD with voxels and
geometry, nothing else.

No name, no attribute and no DICOM header of the node goes along. The same voxels in the same place always
give the same bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import SceneError
from ..prompts.nrrd import nrrd_bytes
from . import us_region
from .cine import all_frames, frames_of
from .coordinates import matrix_of, voxels
from .oblique import StillView, sample

MAY = "Text burned into the pictures, such as a name or a date of birth, may be uploaded with them."


def volume_bytes(volume: Any) -> bytes:
    """A volume node as NRRD; a parent transform is not part of it.

    Raises:
        SceneError: there are no voxels, or pixels that are neither grey nor RGB(A).
    """
    return nrrd_bytes(voxels(volume), matrix_of(volume.GetIJKToRASMatrix))


def cine_bytes(browser: Any) -> bytes:
    """All frames of a cine as one NRRD of (I,J,T) voxels, in the place of the first frame.

    The file does not say that it is a cine: ask about it with `axis_kind="cine"`.

    Raises:
        SceneError: see `cine.all_frames`.
    """
    first = frames_of(browser).GetNthDataNode(0)
    return nrrd_bytes(all_frames(browser), matrix_of(first.GetIJKToRASMatrix))


def content_bytes(image: Any, blanked: bool) -> bytes:
    """The open image (`OpenVolume` or `OpenCine`) as NRRD: voxels and geometry, nothing else.

    Args:
        blanked: 0 outside the ultrasound region, found from the voxels.

    Raises:
        SceneError: blanked was asked for, and no region stands out.
    """
    return nrrd_bytes(_blank(image), image.ijk_to_ras()) if blanked else image.content()


def cut_bytes(image: Any, cut: StillView, blanked: bool) -> bytes:
    """An oblique cut of the open image as NRRD of one slice; blanked where the image would be.

    Raises:
        SceneError: see `content_bytes`.
    """
    # Blanked before it is cut: else pixels at the edge would hold a share of what lies beside it.
    picture = sample(_blank(image), cut.ijk, cut.inside) if blanked else cut.picture
    return nrrd_bytes(picture[None], np.eye(4))


def warning_text(pictures: np.ndarray) -> str:
    """Why pictures may name the patient. It never says that they do not."""
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
