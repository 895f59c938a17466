"""One frame's stored samples out of a DICOM file, without touching the other frames."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import ImageError
from uniultra.images.dicom.codec import decode
from uniultra.images.dicom.file import DicomFile, fragments
from uniultra.images.dicom.layout import PixelLayout
from uniultra.images.files import truncated


class NativeFrames:
    """Frames of uncompressed pixel data, each read alone from its place in the file."""

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
        order = "<" if self._file.little_endian else ">"
        flat = np.frombuffer(data, dtype=f"{order}u{layout.bits_allocated // 8}")
        if layout.subsampled:
            return _spread_colour(flat.reshape(layout.rows, layout.columns // 2, 4))
        if layout.samples == 1:
            return flat.reshape(layout.rows, layout.columns)
        if layout.planar:
            return np.moveaxis(flat.reshape(3, layout.rows, layout.columns), 0, -1)
        return flat.reshape(layout.rows, layout.columns, 3)


def _spread_colour(pairs: NDArray[Any]) -> NDArray[Any]:
    """`(H,W/2,4)` of Y Y Cb Cr to `(H,W,3)` of Y Cb Cr."""
    rows, half, _ = pairs.shape
    colour = np.repeat(pairs[:, :, 2:], 2, axis=1)
    return np.concatenate([pairs[:, :, :2].reshape(rows, half * 2, 1), colour], axis=2)


class EncapsulatedFrames:
    """Frames of compressed pixel data; the fragments of one frame are read and decoded alone."""

    def __init__(self, file: DicomFile, layout: PixelLayout) -> None:
        self._file, self._layout = file, layout
        self._frames = _group_by_frame(file, layout.frames)

    def read(self, t: int) -> NDArray[Any]:
        """Samples of frame `t` as the codec gives them: `(H,W)`, or `(H,W,3)` in RGB."""
        data = b"".join(self._file.source.read(start, length) for start, length in self._frames[t])
        return decode(data, self._layout, self._file.syntax)


def _group_by_frame(file: DicomFile, frames: int) -> list[list[tuple[int, int]]]:
    table, found = fragments(file)
    if frames == 1:
        return [found]
    if len(found) == frames:
        return [[fragment] for fragment in found]
    starts = [0]
    if len(table) == frames:
        base = found[0][0] - 8 if found else 0
        places = [start - 8 - base for start, _ in found]
        starts = [bisect_left(places, offset) for offset in table]
    elif found:
        marks = (b"\xff\xd8", b"\xff\x4f")  # the first bytes of a JPEG and a JPEG 2000 picture
        begins = [file.source.read(start, 2) if length > 1 else b"" for start, length in found]
        starts = [n for n, first in enumerate(begins) if first in marks]
    ends = [*starts[1:], len(found)]
    if len(starts) != frames or any(a >= b for a, b in zip(starts, ends, strict=True)):
        raise ImageError(
            f"Expected {frames} compressed frames; the file holds {len(found)} pieces that do not make them. "
            "Export it again."
        )
    return [found[a:b] for a, b in zip(starts, ends, strict=True)]
