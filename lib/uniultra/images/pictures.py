"""Reads PNG, JPEG, BMP and TIFF as `UltrasoundImage`: pixels by Pillow, geometry by ITK.

Pillow detects truncated pictures, which ITK fills up with zeros. ITK decodes what Pillow would reduce:
colour deeper than 8 bits, and TIFFs with an orientation, in ITK's order of rows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import ImageError
from uniultra.images.axis import choose_axis_kind
from uniultra.images.files import DAMAGE, check_frame, content_hash, decoding
from uniultra.images.frames import Kept, checked_reader
from uniultra.images.itk import geometry_of, identity_geometry, read_header, sitk
from uniultra.images.to_uint8 import uint8_reader
from uniultra.images.types import AxisKind, Geometry, UltrasoundImage

FORMATS = ("PNG", "JPEG", "BMP", "DIB", "TIFF")
GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")
TIFF_ORIENTATION, TIFF_BITS = 274, 258


def open_picture(path: Path, requested: AxisKind | None) -> UltrasoundImage:
    """Read a picture's header; its dots per inch are no calibration. Pages of a TIFF are a volume.

    Raises:
        ImageError: damaged, another format than the ending says, or pages of different sizes.
    """
    with decoding("picture", picture_damage()):
        header = _inspect(path)
    shape, channels = (header.frames, header.rows, header.columns), 1 if header.grey else 3
    check_frame(*shape, channels)
    read = uint8_reader(_itk_reader(path, shape) if header.by_itk else _pillow_reader(path), header.frames)
    digest = content_hash([path])
    return UltrasoundImage(
        identity=f"sha256:{digest}",
        content_hash=digest,
        axis_kind=choose_axis_kind(header.frames, AxisKind.VOLUME, requested),
        shape=shape,
        channels=channels,
        geometry=_geometry(path, *shape),
        read_frame=checked_reader(read, shape, channels, "picture", picture_damage()),
    )


class Header(NamedTuple):
    """Properties that decide how a picture is decoded."""

    frames: int
    rows: int
    columns: int
    grey: bool
    by_itk: bool


def picture_damage() -> tuple[type[Exception], ...]:
    """Exceptions that Pillow raises on damaged files."""
    from PIL import Image

    return (*DAMAGE, Image.DecompressionBombError)


def _open(path: Path) -> Any:
    # With an explicit list of formats Pillow loads only some of their plugins itself.
    from PIL import BmpImagePlugin, Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin  # noqa: F401

    return Image.open(path, formats=FORMATS)


def _inspect(path: Path) -> Header:
    with _open(path) as picture:
        tiff = picture.format == "TIFF"
        frames = getattr(picture, "n_frames", 1) if tiff else 1
        kinds = set()
        for page in range(frames):
            if tiff:
                picture.seek(page)
            kinds.add((picture.size, picture.mode))
        if len(kinds) != 1:
            raise ImageError(
                "Expected TIFF pages of one size and kind; they differ. Store one page per file."
            )
        grey = picture.mode in GREY_MODES
        turned = tiff and picture.tag_v2.get(TIFF_ORIENTATION, 1) != 1
        by_itk = turned or (_deep(picture) and not grey)
        return Header(frames, picture.height, picture.width, grey, by_itk)


def _deep(picture: Any) -> bool:
    """Whether more than 8 bits per sample are stored; Pillow silently reduces deep colour."""
    if picture.format == "PNG":
        return any("16" in str(tile[3]) for tile in picture.tile)
    return picture.format == "TIFF" and max(np.atleast_1d(picture.tag_v2.get(TIFF_BITS, 8))) > 8


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
