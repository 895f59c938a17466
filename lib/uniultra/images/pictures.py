"""PNG, JPEG, BMP and TIFF as `UltrasoundImage`: pixels from Pillow, header from ITK.

Pillow notices a picture that ends too early, ITK fills it up. ITK decodes what Pillow would reduce:
colour deeper than 8 bits, and TIFFs with turned rows, in the order in which ITK sees them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import ImageError
from uniultra.images.axis import choose_axis_kind
from uniultra.images.files import DAMAGE, check_frame, content_hash, damaged
from uniultra.images.frames import Kept, checked_reader
from uniultra.images.itk import geometry_of, identity_geometry, read_header, sitk
from uniultra.images.to_uint8 import uint8_reader
from uniultra.images.types import AxisKind, Geometry, UltrasoundImage

FORMATS = ("PNG", "JPEG", "BMP", "DIB", "TIFF")
GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")
TIFF_ORIENTATION, TIFF_BITS = 274, 258


def open_picture(path: Path, asked: AxisKind | None) -> UltrasoundImage:
    """Read a picture's header; its dots per inch are no calibration. Pages of a TIFF are a volume.

    Raises:
        ImageError: damaged, another format than the ending says, or pages of different sizes.
    """
    try:
        frames, rows, columns, grey, by_itk, dtype = _inspect(path)
    except picture_damage():
        raise damaged("picture") from None
    check_frame(frames, rows, columns, 1 if grey else 3)
    raw = _itk_reader(path, (frames, rows, columns)) if by_itk else _pillow_reader(path)
    digest = content_hash([path])
    return UltrasoundImage(
        identity=f"sha256:{digest}",
        content_hash=digest,
        axis_kind=choose_axis_kind(frames, AxisKind.VOLUME, asked),
        shape=(frames, rows, columns),
        channels=1 if grey else 3,
        geometry=_geometry(path, frames, rows, columns),
        read_frame=checked_reader(uint8_reader(raw, frames, dtype), frames, "picture", picture_damage()),
    )


def picture_damage() -> tuple[type[Exception], ...]:
    """What Pillow raises on damaged files."""
    from PIL import Image

    return (*DAMAGE, Image.DecompressionBombError)


def _open(path: Path) -> Any:
    # Pillow loads only some of its formats by itself when it is told which to try.
    from PIL import BmpImagePlugin, Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin  # noqa: F401

    return Image.open(path, formats=FORMATS)


def _inspect(path: Path) -> tuple[int, int, int, bool, bool, np.dtype[Any]]:
    with _open(path) as picture:
        frames = getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1
        sizes = set()
        for page in range(frames):
            if frames > 1:
                picture.seek(page)
            sizes.add((picture.size, picture.mode))
        if len(sizes) != 1:
            raise ImageError(
                "Expected TIFF pages of one size and kind; they differ. Store one page per file."
            )
        grey = picture.mode in GREY_MODES
        depth, turned = _depth(picture), False
        if picture.format == "TIFF":
            turned = picture.tag_v2.get(TIFF_ORIENTATION, 1) != 1
        columns, rows = picture.size
        by_itk = turned or (depth > 8 and not grey and picture.mode != "P")
        if by_itk:
            return frames, rows, columns, grey, True, np.dtype(f"uint{depth}")
        return frames, rows, columns, grey, False, _pillow_dtype(picture.mode)


def _depth(picture: Any) -> int:
    """Bits per sample as stored; Pillow reduces deep colour to 8 without a word."""
    if picture.format == "PNG":
        return 16 if any("16" in str(tile[3]) for tile in picture.tile) else 8
    if picture.format == "TIFF":
        return max(8, *np.atleast_1d(picture.tag_v2.get(TIFF_BITS, 8)).tolist())
    return 8


def _pillow_dtype(mode: str) -> np.dtype[Any]:
    if mode.startswith("I;16"):
        return np.dtype(np.uint16)
    return np.dtype({"I": np.int32, "F": np.float32}.get(mode, np.uint8))


def _pillow_reader(path: Path) -> Callable[[int], NDArray[Any]]:
    def read_raw(t: int) -> NDArray[Any]:
        with _open(path) as picture:
            if t:
                picture.seek(t)
            if picture.mode == "P":
                return np.asarray(picture.convert("RGBA"))
            if picture.mode in (*GREY_MODES, "RGB", "RGBA"):
                return np.asarray(picture.convert("L") if picture.mode == "1" else picture)
            return np.asarray(picture.convert("RGB"))

    return read_raw


def _itk_reader(path: Path, shape: tuple[int, int, int]) -> Callable[[int], NDArray[Any]]:
    def read_all() -> NDArray[Any]:
        array = np.asarray(sitk().GetArrayFromImage(read_header(path, "picture").Execute()))
        return array.reshape((*shape, -1)) if array.size != np.prod(shape) else array.reshape(shape)

    kept = Kept(read_all)
    return lambda t: kept()[t]


def _geometry(path: Path, frames: int, rows: int, columns: int) -> Geometry:
    try:
        return geometry_of(read_header(path, "picture"), frames, rows, columns)
    except ImageError:
        return identity_geometry(frames, rows, columns)
