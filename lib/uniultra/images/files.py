"""File access shared by the readers: endings, hashes, bytes, and limits of declared sizes."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from uniultra.errors import ImageError

DICOM_ENDINGS = frozenset({".dcm", ".dicom"})
PICTURE_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
ITK_ENDINGS = frozenset({".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd"})
VIDEO_ENDINGS = frozenset({".mp4", ".m4v", ".avi", ".mov", ".mkv"})
ENDINGS = DICOM_ENDINGS | PICTURE_ENDINGS | ITK_ENDINGS | VIDEO_ENDINGS

MAX_FRAME_SAMPLES = 2**27
"""Largest frame, rows x columns x channels: far above any scanner's; guards against forged headers."""
MAX_IMAGE_BYTES = 2**33
"""Largest image, in bytes, of the formats whose frames can only be decoded together."""

# Exceptions that decoders raise on bytes that contradict their headers. Their messages may quote the
# file, so they are never passed on.
DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def file_ending(path: Path) -> str:
    """The lower-case ending that decides the format; `.nii.gz` counts as one."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def has_dicom_magic(path: Path) -> bool:
    """Whether the file carries DICM after the 128-byte preamble; False when it cannot be read."""
    try:
        with path.open("rb") as handle:
            return handle.read(132)[128:] == b"DICM"
    except OSError:
        return False


def content_hash(paths: Iterable[Path]) -> str:
    """Hex SHA-256 over the bytes of the files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as handle:
            hashlib.file_digest(handle, lambda: digest)
    return digest.hexdigest()


def check_frame(frames: int, rows: int, columns: int, channels: int) -> None:
    """Refuse a declared frame size that is invalid or too large, before anything is allocated.

    Raises:
        ImageError: a dimension below 1 or a frame above `MAX_FRAME_SAMPLES`.
    """
    if min(frames, rows, columns, channels) < 1:
        raise ImageError(
            f"Expected at least one frame, row and column; the file declares {frames} x {rows} x {columns}. "
            "Export it again."
        )
    if rows * columns * channels > MAX_FRAME_SAMPLES:
        raise ImageError(
            f"Expected frames of at most {MAX_FRAME_SAMPLES} samples; the file declares {rows} x {columns} "
            f"pixels of {channels}. Crop or downsample it."
        )


def check_whole(needed: int) -> None:
    """Refuse an image of `needed` bytes whose frames can only be decoded together.

    Raises:
        ImageError: above `MAX_IMAGE_BYTES`.
    """
    if needed > MAX_IMAGE_BYTES:
        raise ImageError(
            f"Expected at most {MAX_IMAGE_BYTES} bytes once decoded; the file declares {needed}. Split it."
        )


class FileBytes:
    """A file that is opened for each read, so that no handle stays open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size

    def read(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset`.

        Raises:
            ImageError: the file ends before that, or no longer exists.
        """
        try:
            with self.path.open("rb") as handle:
                handle.seek(offset)
                return read_exactly(handle, count, self.size - offset)
        except OSError:
            raise ImageError("The file can no longer be read. Put it back and try again.") from None


class MemoryBytes:
    """Bytes in memory: a file that had to be inflated as a whole."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read(self, offset: int, count: int) -> bytes:
        if offset + count > self.size:
            raise truncated()
        return self.data[offset : offset + count]


ByteSource = FileBytes | MemoryBytes  # bytes with random access, readable from several threads


def read_exactly(handle: IO[bytes], count: int, left: int) -> bytes:
    """Read `count` bytes where `left` remain; checked first, so that a forged length allocates nothing."""
    data = handle.read(count) if count <= left else b""
    if len(data) != count:
        raise truncated()
    return data


def truncated() -> ImageError:
    """The error for a file that ends too early."""
    return ImageError("Expected a complete file; it ends before its header says. Copy or export it again.")


@contextmanager
def decoding(kind: str, damage: tuple[type[Exception], ...] = DAMAGE) -> Iterator[None]:
    """Turn the exceptions `damage`, which decoders raise, into an `ImageError` about a `kind` of file."""
    try:
        yield
    except damage:
        raise damaged(kind) from None


def damaged(kind: str) -> ImageError:
    """The error for a file of `kind` that its decoder refuses."""
    return ImageError(f"Expected a readable {kind} file; it is damaged or incomplete. Export it again.")
