"""Arrays as NRRD files: voxels and geometry, without any metadata."""

from __future__ import annotations

import gzip
import re
import struct
import zlib

import numpy as np

from ..errors import SceneError

# NRRD's names of the types that numpy calls otherwise; the integers have the same names.
_TYPES = {"bool": "uint8", "float32": "float", "float64": "double"}


def nrrd_bytes(array: np.ndarray, ijk_to_ras: np.ndarray, compressed: bool = False) -> bytes:
    """A (K,J,I) or (K,J,I,C) array as an NRRD file, in LPS.

    Args:
        array: grey values, or C = 3 (RGB) or 4 (RGBA, of which the opacity is left out) channels.
        ijk_to_ras: (4,4) matrix, mm.
        compressed: with gzip; the same array then gives the same bytes on one machine only.

    Raises:
        SceneError: C is not 1, 3 or 4, or the values are not real numbers.

    >>> file = nrrd_bytes(np.arange(6, dtype=np.uint8).reshape(1, 2, 3), np.diag([0.5, 0.5, 1.0, 1.0]))
    >>> [line for line in file.decode("latin-1").splitlines() if line.startswith(("type", "sizes"))]
    ['type: uint8', 'sizes: 3 2 1']
    >>> label_array(file).tolist()
    [[[0, 1, 2], [3, 4, 5]]]
    """
    channels = array.shape[3] if array.ndim == 4 else 1
    kind = _TYPES.get(array.dtype.name, array.dtype.name if array.dtype.kind in "iu" else None)
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
        f"encoding: {'gzip' if compressed else 'raw'}",
        f"space origin: {_vector(lps[:3, 3])}",
    ]
    voxels = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    body = _gzip(voxels) if compressed else voxels.tobytes()
    return "\n".join([*lines, "", ""]).encode("ascii") + body


def label_array(data: bytes) -> np.ndarray:
    """The (K,J,I) uint8 array of a label file that `nrrd_bytes` wrote.

    Raises:
        SceneError: the file is damaged or not such a label.
    """
    head, _, body = data.partition(b"\n\n")
    sizes = re.search(rb"^sizes: (\d+) (\d+) (\d+)$", head, re.MULTILINE)
    try:
        if sizes is None or b"\ntype: uint8\n" not in head:
            raise ValueError
        voxels = gzip.decompress(body) if b"\nencoding: gzip" in head else body
        return np.frombuffer(voxels, np.uint8).reshape([int(n) for n in sizes.groups()[::-1]])
    except (ValueError, OSError, EOFError, zlib.error):
        raise SceneError("A label kept on this machine cannot be read. Label the image again.") from None


def _gzip(array: np.ndarray) -> bytes:
    """An array as a gzip file, fast for labels: most slices are empty, and one compressed slice serves all.

    Each slice is compressed on its own and ends in a full flush (RFC 1951), so that the pieces can be joined.
    """
    pieces, crc, empty = [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"], 0, b""
    for part in array:
        data = part.tobytes()
        crc = zlib.crc32(data, crc)
        if part.any() or not empty:
            packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
            piece = packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)
            empty = empty if part.any() else piece
        pieces.append(piece if part.any() else empty)
    return b"".join([*pieces, b"\x03\x00", struct.pack("<II", crc, array.nbytes & 0xFFFFFFFF)])


def _vector(values: np.ndarray) -> str:
    return "(" + ",".join(repr(float(value) + 0.0) for value in values) + ")"
