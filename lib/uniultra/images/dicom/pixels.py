"""Reads the stored samples of one frame of a DICOM file, without reading the other frames."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import ImageError
from uniultra.images.dicom.codec import decode
from uniultra.images.dicom.file import DicomFile, fragments
from uniultra.images.dicom.layout import PixelLayout
from uniultra.images.files import truncated

MAGIC = (b"\xff\xd8", b"\xff\x4f")  # first bytes of a JPEG and a JPEG 2000 codestream


class NativeFrames:
    """Frames of uncompressed pixel data, each read from its own offset in the file."""

    def __init__(self, file: DicomFile, layout: PixelLayout) -> None:
        self._file, self._layout = file, layout
        pixels = layout.rows * layout.columns
        if layout.subsampled and layout.columns % 2:
            raise ImageError(
                "YBR_FULL_422 needs an even number of columns; got an odd one. Convert it to RGB."
            )
        self._frame_bytes = pixels * (2 if layout.subsampled else layout.samples) * layout.bits_allocated // 8
        needed = self._frame_bytes * layout.frames
        if min(file.length or 0, file.source.size - file.start) < needed:
            raise truncated()

    def read(self, t: int) -> NDArray[Any]:
        """Stored samples of frame `t`: `(H,W)` or `(H,W,3)`."""
        offset, layout = t * self._frame_bytes, self._layout
        # Swapped byte pairs may straddle two frames of an odd number of bytes.
        first = offset & ~1 if self._file.byte_pairs_swapped else offset
        count = offset + self._frame_bytes - first
        if self._file.byte_pairs_swapped:
            count = min(count + (count & 1), self._file.source.size - self._file.start - first)
        data = self._file.source.read(self._file.start + first, count)
        if self._file.byte_pairs_swapped:
            even = np.frombuffer(data + b"\0" * (len(data) & 1), dtype="<u2").byteswap().tobytes()
            data = even[offset - first :][: self._frame_bytes]
        order = "<" if self._file.dataset.is_little_endian else ">"
        flat = np.frombuffer(data, dtype=f"{order}u{layout.bits_allocated // 8}")
        if layout.subsampled:
            return _spread_colour(flat.reshape(layout.rows, layout.columns // 2, 4))
        if layout.samples == 1:
            return flat.reshape(layout.rows, layout.columns)
        if layout.planar:
            return np.moveaxis(flat.reshape(3, layout.rows, layout.columns), 0, -1)
        return flat.reshape(layout.rows, layout.columns, 3)


def _spread_colour(pairs: NDArray[Any]) -> NDArray[Any]:
    """Upsample `(H,W/2,4)` of Y Y Cb Cr to `(H,W,3)` of Y Cb Cr."""
    rows, half, _ = pairs.shape
    colour = np.repeat(pairs[:, :, 2:], 2, axis=1)
    return np.concatenate([pairs[:, :, :2].reshape(rows, half * 2, 1), colour], axis=2)


class EncapsulatedFrames:
    """Frames of compressed pixel data; only the fragments of the requested frame are read and decoded."""

    def __init__(self, file: DicomFile, layout: PixelLayout) -> None:
        self._file, self._layout = file, layout
        self._frames = _group_by_frame(file, layout.frames)

    def read(self, t: int) -> NDArray[Any]:
        """Decoded samples of frame `t`: `(H,W)`, or `(H,W,3)` in RGB."""
        data = b"".join(self._file.source.read(start, length) for start, length in self._frames[t])
        return decode(data, self._layout, self._file.syntax)


def _group_by_frame(file: DicomFile, frames: int) -> list[list[tuple[int, int]]]:
    """The fragments (offset, length) of each frame, by the offset table, else by their first bytes."""
    table, pieces = fragments(file)
    if frames == 1:
        return [pieces]
    if len(pieces) == frames:
        return [[piece] for piece in pieces]
    if len(table) == frames:
        offsets = [start - pieces[0][0] for start, _ in pieces]
        starts = [bisect_left(offsets, offset) for offset in table]
    else:
        starts = [
            n
            for n, (start, length) in enumerate(pieces)
            if length > 1 and file.source.read(start, 2) in MAGIC
        ]
    groups = [pieces[a:b] for a, b in pairwise([*starts, len(pieces)])]
    if len(groups) != frames or not all(groups):
        raise ImageError(
            f"Expected {frames} compressed frames; the file holds {len(pieces)} fragments of others. "
            "Export it again."
        )
    return groups
