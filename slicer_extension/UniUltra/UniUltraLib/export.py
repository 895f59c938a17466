"""A volume or cine of the scene as bytes to upload: uncompressed NRRD with voxels and geometry, nothing else.

No name, no attribute and no DICOM header of the node goes along. The same voxels in the same place always
give the same bytes, so their hash names the image.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .bridge import matrix_of, voxels
from .cine import cine_size, frame_array, frames_of
from .errors import SceneError
from .nrrd import content_hash as content_hash
from .nrrd import nrrd_bytes as nrrd_bytes


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
        SceneError: see `cine.cine_size`; or the frames are not of one size.
    """
    frames = [frame_array(browser, n) for n in range(cine_size(browser)[2])]
    if len({frame.shape for frame in frames}) != 1:
        raise SceneError("Expected frames of one size; got several. Split the cine where its size changes.")
    first = frames_of(browser).GetNthDataNode(0)
    return nrrd_bytes(np.stack(frames), matrix_of(first.GetIJKToRASMatrix))
