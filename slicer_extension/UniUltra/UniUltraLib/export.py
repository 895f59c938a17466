"""A volume or cine of the scene as bytes to upload: uncompressed NRRD with voxels and geometry, nothing else.

No name, no attribute and no DICOM header of the node goes along. The same voxels in the same place always
give the same bytes, so their hash names the image.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from .bridge import matrix_of, voxels
from .cine import cine_size, frame_array, frames_of
from .errors import SceneError

_TYPES = {
    "b1": "uint8",
    "i1": "int8",
    "u1": "uint8",
    "i2": "int16",
    "u2": "uint16",
    "i4": "int32",
    "u4": "uint32",
    "i8": "int64",
    "u8": "uint64",
    "f4": "float",
    "f8": "double",
}


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


def content_hash(image: bytes) -> str:
    """The name of an exported image: SHA-256, hex. Prompts and the server's sessions are kept under it."""
    return hashlib.sha256(image).hexdigest()


def nrrd_bytes(array: np.ndarray, ijk_to_ras: np.ndarray) -> bytes:
    """A (K,J,I) or (K,J,I,C) array as NRRD, in LPS.

    Raises:
        SceneError: C is not 1, 3 or 4; of 4, the last (opacity) is left out.
    """
    channels = array.shape[3] if array.ndim == 4 else 1
    kind = _TYPES.get(array.dtype.str[1:])
    if channels not in (1, 3, 4) or kind is None:
        raise SceneError(
            f"Expected grey, RGB or RGBA numbers; got {channels} channels of {array.dtype}. "
            "Convert the volume."
        )
    if array.ndim == 4:
        array = array[..., 0] if channels == 1 else array[..., :3]
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ijk_to_ras
    colour = array.ndim == 4
    lines = [
        "NRRD0004",
        f"type: {kind}",
        f"dimension: {array.ndim}",
        "space: left-posterior-superior",
        "sizes: " + " ".join(str(n) for n in ((3,) if colour else ()) + array.shape[2::-1]),
        "space directions: " + ("none " if colour else "") + " ".join(_vector(lps[:3, n]) for n in range(3)),
        "kinds: " + ("RGB-color " if colour else "") + "domain domain domain",
        "endian: little",
        "encoding: raw",
        f"space origin: {_vector(lps[:3, 3])}",
    ]
    body = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return "\n".join([*lines, "", ""]).encode("ascii") + body


def _vector(values: np.ndarray) -> str:
    return "(" + ",".join(repr(float(value) + 0.0) for value in values) + ")"
