"""Parses a DICOM file up to the pixel data and locates the pixel data."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from uniultra.errors import ImageError
from uniultra.images.files import (
    DAMAGE,
    DICOM_ENDINGS,
    ByteSource,
    FileBytes,
    MemoryBytes,
    damaged,
    decoding,
    file_ending,
    read_exactly,
    truncated,
)

UNDEFINED = 0xFFFFFFFF
MAX_INFLATED = 2**31
DEFLATED = "1.2.840.10008.1.2.1.99"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


@dataclass(frozen=True)
class DicomFile:
    """A parsed header and the location of the pixel data.

    Attributes:
        dataset: every element before the pixel data.
        syntax: transfer syntax UID.
        source: the bytes, inflated where the file is deflated.
        start: offset of the first byte of the pixel data's value.
        length: its declared length in bytes, or None for encapsulated fragments.
        byte_pairs_swapped: 8-bit pixels are stored as big-endian 16-bit words.
    """

    dataset: Any
    syntax: str
    source: ByteSource
    start: int
    length: int | None
    byte_pairs_swapped: bool


@lru_cache(maxsize=1)
def pydicom() -> Any:
    """pydicom, imported at first use; its warnings, which quote values of the file, are silenced."""
    import pydicom

    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    warnings.filterwarnings("ignore", module=r"pydicom\.")
    return pydicom


def made_dataset(sop_class: str, syntax: str) -> Any:
    """A new DICOM data set, explicit VR little-endian by default, without patient data."""
    module = pydicom()
    dataset, meta = module.dataset.Dataset(), module.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = module.uid.generate_uid()
    meta.TransferSyntaxUID = module.uid.UID(syntax)
    dataset.file_meta = meta
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    return dataset


def dicom_damage() -> tuple[type[Exception], ...]:
    """Exceptions that pydicom, and Pillow behind it, raise on damaged files."""
    from PIL.Image import DecompressionBombError

    errors = pydicom().errors
    return (*DAMAGE, DecompressionBombError, errors.BytesLengthException, errors.InvalidDicomError)


def read_dicom_file(path: Path) -> DicomFile:
    """Parse `path` up to its pixel data; the pixels are not read.

    Raises:
        ImageError: not DICOM, damaged or truncated, or without pixels.
    """
    source: ByteSource = FileBytes(path)
    with decoding("DICOM", dicom_damage()), path.open("rb") as handle:
        bounded: Any = _Bounded(handle, source.size)
        deflated = _deflated_dataset(bounded, source.size)
        if deflated is not None:
            source = MemoryBytes(deflated)
            bounded = _Bounded(io.BytesIO(deflated), source.size)
            dataset = _read_inflated(bounded)
            syntax = DEFLATED
        else:
            bounded.seek(0)
            force = file_ending(path) in DICOM_ENDINGS
            dataset = pydicom().dcmread(bounded, stop_before_pixels=True, force=force)
            syntax = str(dataset.file_meta.get("TransferSyntaxUID", IMPLICIT))
        return _locate_pixels(dataset, syntax, source, bounded.tell())


class _Bounded:
    """A file object that refuses to read past the end, so that a forged length allocates nothing."""

    def __init__(self, handle: IO[bytes], size: int) -> None:
        self._handle, self._size = handle, size
        self.seek, self.tell, self.close = handle.seek, handle.tell, handle.close

    def read(self, count: int = -1) -> bytes:
        left = max(0, self._size - self._handle.tell())
        # pydicom detects the end of a data set by a short read of a tag; only values must be complete.
        if count > left and count > 16:
            raise truncated()
        return self._handle.read(left if count < 0 else min(count, left))


def _deflated_dataset(handle: _Bounded, size: int) -> bytes | None:
    """The inflated data set of a deflated file; None for other files."""
    start = handle.read(min(size, 4096))
    if start[128:132] != b"DICM" or DEFLATED.encode() not in start:
        return None
    group_length = struct.unpack("<I", start[140:144])[0] if start[132:136] == b"\x02\0\0\0" else size
    if DEFLATED.encode() not in start[144 : 144 + group_length]:
        return None
    handle.seek(144 + group_length)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    data = inflater.decompress(handle.read(), MAX_INFLATED)
    if inflater.unconsumed_tail:
        raise ImageError(
            f"Expected at most {MAX_INFLATED} bytes in a deflated DICOM file; it holds more. "
            "Store it without deflate."
        )
    if not inflater.eof:
        raise truncated()
    return data


def _read_inflated(handle: _Bounded) -> Any:
    from pydicom.filereader import read_dataset

    dataset = read_dataset(handle, False, True, stop_when=lambda tag, vr, length: tag >= 0x7FE00008)
    dataset.is_implicit_VR, dataset.is_little_endian = False, True
    return dataset


def _locate_pixels(dataset: Any, syntax: str, source: ByteSource, place: int) -> DicomFile:
    order = "<" if dataset.is_little_endian else ">"
    if place + 8 > source.size:
        raise ImageError("Expected DICOM with pixels; this object has none. Choose an image instance.")
    header = source.read(place, min(12, source.size - place))
    group, element = struct.unpack(order + "HH", header[:4])
    if (group, element) != (0x7FE0, 0x0010):
        raise ImageError(
            "Expected integer pixel data (7FE0,0010); this DICOM object has none. Choose an image instance."
        )
    # pydicom also reads files with implicit elements under an explicit transfer syntax.
    if dataset.is_implicit_VR or not header[4:6].isalpha():
        vr, length, start = b"OW", struct.unpack(order + "I", header[4:8])[0], place + 8
    else:
        vr, length, start = header[4:6], struct.unpack(order + "I", header[8:12])[0], place + 12
    # Big-endian writers that store 8-bit pixels as words (OW) swap each pair of bytes.
    swapped = order == ">" and vr == b"OW" and int(dataset.BitsAllocated) == 8
    return DicomFile(dataset, syntax, source, start, None if length == UNDEFINED else length, swapped)


def fragments(file: DicomFile) -> tuple[list[int], list[tuple[int, int]]]:
    """The basic offset table and each fragment's (offset in the file, length); reads only the items' headers.

    Raises:
        ImageError: a malformed item, or one that reaches beyond the file.
    """
    items: list[tuple[int, int]] = []
    place = file.start
    if not isinstance(file.source, FileBytes):
        raise damaged("DICOM")
    with file.source.path.open("rb") as handle:
        while place + 8 <= file.source.size:
            handle.seek(place)
            group, element, length = struct.unpack("<HHI", read_exactly(handle, 8, 8))
            if (group, element) == (0xFFFE, 0xE0DD):
                break
            if (group, element) != (0xFFFE, 0xE000):
                raise damaged("DICOM")
            if place + 8 + length > file.source.size:
                raise truncated()
            items.append((place + 8, length))
            place += 8 + length
    if not items:
        raise truncated()
    (table_start, table_length), *rest = items
    table = file.source.read(table_start, table_length)
    return list(struct.unpack(f"<{table_length // 4}I", table[: table_length // 4 * 4])), rest
