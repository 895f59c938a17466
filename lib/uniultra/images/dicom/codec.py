"""Decodes one compressed DICOM frame: by ITK, or by pydicom where ITK fails.

ITK reads only whole files. So each frame is written to a temporary file of its own that holds the
compressed bytes and the image pixel module, without patient data.
"""

from __future__ import annotations

import struct
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import ImageError
from uniultra.images.colour import ybr_to_rgb
from uniultra.images.dicom.file import dicom_damage, made_dataset, pydicom
from uniultra.images.dicom.layout import PixelLayout
from uniultra.images.files import damaged
from uniultra.images.itk import sitk

NATIVE = frozenset(
    {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"}
)
JPEG = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70))
COMPRESSED = JPEG | {
    "1.2.840.10008.1.2.5",
    *(f"1.2.840.10008.1.2.4.{n}" for n in (80, 81, 90, 91)),
}
# Not named by pydicom 2.
NEWER_SYNTAXES = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.4.201": "High-Throughput JPEG 2000 (Lossless Only)",
    "1.2.840.10008.1.2.4.202": "High-Throughput JPEG 2000 with RPCL Options (Lossless Only)",
    "1.2.840.10008.1.2.4.203": "High-Throughput JPEG 2000",
}
J2K_START = b"\xff\x4f\xff\x51"
US_IMAGE = "1.2.840.10008.5.1.4.1.1.6.1"
# GDCM's codecs keep global state.
_ITK_LOCK = threading.Lock()


def check_syntax(syntax: str) -> None:
    """Refuse a transfer syntax that cannot be decoded.

    Raises:
        ImageError: with the name and UID of the syntax.
    """
    if syntax in NATIVE or syntax in COMPRESSED:
        return
    uid = pydicom().uid.UID(syntax)
    name = NEWER_SYNTAXES.get(syntax) or (uid.name if uid.name != syntax else "")
    shown = f"{name} ({syntax})" if name else f"{syntax[:64]} (unknown)" if uid.is_valid else "an invalid UID"
    raise ImageError(
        "Expected uncompressed, RLE, JPEG, JPEG-LS or JPEG 2000 pixels; the file's transfer syntax is "
        f"{shown}, which cannot be decoded here. Store it as Explicit VR Little Endian (1.2.840.10008.1.2.1) "
        "and read it again."
    )


def decode(data: bytes, layout: PixelLayout, syntax: str) -> NDArray[Any]:
    """Samples of one compressed frame: `(H,W)`, or `(H,W,3)` in RGB.

    Raises:
        ImageError: the bytes are damaged or of another size than the header says.
    """
    size = codestream_size(data)
    if size is not None and size != (layout.rows, layout.columns):
        raise ImageError(
            f"Expected a compressed frame of {layout.rows} x {layout.columns} pixels; it holds "
            f"{size[0]} x {size[1]}. Export the file again."
        )
    file = _one_frame(data, layout, syntax)
    shape = (layout.rows, layout.columns) + ((3,) if layout.samples == 3 else ())
    for decoder in (_by_itk, _by_pydicom):
        try:
            samples = decoder(file)
        except dicom_damage():
            continue
        if samples.shape == shape:
            return samples
    raise damaged("DICOM")


def _one_frame(data: bytes, layout: PixelLayout, syntax: str) -> Any:
    file = made_dataset(US_IMAGE, syntax)
    file.Rows, file.Columns, file.SamplesPerPixel = layout.rows, layout.columns, layout.samples
    file.BitsAllocated, file.BitsStored, file.HighBit = (
        layout.bits_allocated,
        layout.bits_stored,
        layout.high_bit,
    )
    file.PixelRepresentation = int(layout.signed)
    file.PhotometricInterpretation = "MONOCHROME2" if layout.samples == 1 else layout.photometric
    if layout.samples == 3:
        file.PlanarConfiguration = int(layout.planar)
        # A JFIF picture is YCbCr by definition, although many writers declare RGB in the header.
        if syntax in JPEG and data[6:10] == b"JFIF" and layout.photometric == "RGB":
            file.PhotometricInterpretation = "YBR_FULL_422"
    file.PixelData = pydicom().encaps.encapsulate([data])
    file["PixelData"].is_undefined_length = True
    file["PixelData"].VR = "OB"
    return file


def _by_itk(file: Any) -> NDArray[Any]:
    with tempfile.TemporaryDirectory(prefix="uniultra-") as folder:
        path = Path(folder) / "frame.dcm"
        file.save_as(path, write_like_original=False)
        with _ITK_LOCK:
            image = sitk().ReadImage(str(path))
    return np.asarray(sitk().GetArrayFromImage(image)[0])


def _by_pydicom(file: Any) -> NDArray[Any]:
    samples = np.asarray(file.pixel_array)
    # pydicom 2 returns YBR as stored; RCT and ICT are inverted by the JPEG 2000 decoder.
    return ybr_to_rgb(samples) if file.PhotometricInterpretation in ("YBR_FULL", "YBR_FULL_422") else samples


def codestream_size(data: bytes) -> tuple[int, int] | None:
    """(rows, columns) that a JPEG, JPEG-LS or JPEG 2000 picture declares; None for other bytes."""
    start = data.find(J2K_START, 0, 1024) if data[4:8] == b"jP  " else 0  # within JP2 boxes
    if data[start : start + 4] == J2K_START and len(data) >= start + 24:
        right, bottom, left, top = struct.unpack(">4I", data[start + 8 : start + 24])
        return bottom - top, right - left
    if data[:2] != b"\xff\xd8":
        return None
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows, columns = struct.unpack(">HH", data[place + 5 : place + 9])
            return rows, columns
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None
