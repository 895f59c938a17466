"""Reads label files onto the pixel grid of their image."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import ImageError
from uniultra.files.checksummed import sha256
from uniultra.images import read_image, write_mask
from uniultra.images.files import DAMAGE, check_whole, damaged, file_ending
from uniultra.images.itk import geometry_of, read_header, sitk
from uniultra.images.pictures import FORMATS, picture_damage
from uniultra.images.types import Geometry, UltrasoundImage
from uniultra.store.labels.files import EXTENSIONS
from uniultra.store.types import TrainingLabel

LabelMap = NDArray[np.uint8]  # (T,H,W), 0 = background
_PICTURES = (".png", ".bmp", ".tif", ".tiff")
_PLACE = 1e-3  # tolerance in voxels, and in direction cosines: NIfTI stores 32-bit floats


def read_labelmap(path: Path, image: UltrasoundImage, *, as_stored: bool = False) -> LabelMap:
    """Read the values `(T,H,W)` uint8 of a label file of `image`.

    A picture (PNG, BMP, TIFF) has no geometry: only its size is compared. In a black-and-white picture 255 is
    read as 1; a palette picture is read as its indices.

    Args:
        path: in any of `EXTENSIONS`.
        image: the image it belongs to.
        as_stored: ignore the geometry in the label's header; only sizes are compared. Default: compare.

    Raises:
        ImageError: it cannot be decoded, differs from the image in size or geometry, or its values are not
            integers from 0 to 255.
    """
    values, geometry = read_values(path, image.shape)
    if values.shape != image.shape:
        raise ImageError(
            f"Expected a label of {_size(image.shape)}; got {_size(values.shape)} (frames x rows x columns)."
        )
    if geometry is not None and not as_stored and not _same_place(geometry, image.geometry):
        raise ImageError(
            "Expected a label in the image's geometry; its spacing, origin or direction differ. "
            "Resample it to the image, or leave its header out by saving it as PNG."
        )
    return values


def open_label(
    studies: Path, label: TrainingLabel, axis_kind: str | None = None
) -> tuple[UltrasoundImage, LabelMap]:
    """Open the image of a label and the label's values, after its checksum was compared.

    Args:
        studies: the studies folder.
        label: a version of a label.
        axis_kind: of the image; default: as its file suggests.

    Raises:
        ImageError: image or label is missing or damaged, the label has changed since it was saved, or the two
            do not fit each other.
    """
    source, file = label.paths(studies)
    try:
        digest = sha256(file)
    except OSError:
        raise ImageError("Expected the label's file; it cannot be read. Label the image again.") from None
    if digest != label.sha256:
        raise ImageError(
            "Expected the label as it was saved; its file has changed since (another SHA-256). Restore it "
            "from a backup, or label the image again."
        )
    image = read_image(source, axis_kind=axis_kind)
    return image, read_labelmap(file, image)


def read_values(path: Path, shape: tuple[int, int, int] | None = None) -> tuple[LabelMap, Geometry | None]:
    """Read the values `(T,H,W)` uint8 of a label file and its geometry, without an image to compare with.

    The geometry of a picture is None. With a `shape`, a picture of another shape is refused before decoding.

    Raises:
        ImageError: it cannot be decoded, or its values are not whole numbers from 0 to 255.
    """
    if not path.name.lower().endswith(EXTENSIONS):
        raise ImageError(f"A label is one of {', '.join(EXTENSIONS)}; got another file type.")
    if file_ending(path) in _PICTURES:
        return _indices(_picture(path, shape)), None
    values, geometry = _volume(path)
    return _indices(values), geometry


@contextmanager
def label_file(values: LabelMap, image: UltrasoundImage, ext: str = ".nrrd") -> Iterator[Path]:
    """A temporary label file with these values `(T,H,W)`, in the geometry of `image`."""
    with tempfile.TemporaryDirectory(prefix="uniultra-") as folder:
        file = Path(folder) / f"label{ext}"
        write_mask(values, image, file)
        yield file


def _volume(path: Path) -> tuple[NDArray[Any], Geometry]:
    reader = read_header(path, "label")
    size, bytes_each = reader.GetSize(), 8 * reader.GetNumberOfComponents()
    check_whole(int(np.prod([int(n) for n in size])) * bytes_each)
    try:
        values = np.asarray(sitk().GetArrayFromImage(reader.Execute()))
    except DAMAGE:
        raise damaged("label") from None
    while values.ndim > 3 and values.shape[0] == 1:
        values = values[0]
    if reader.GetNumberOfComponents() != 1 or values.ndim > 3:
        raise ImageError("Expected one value for each pixel of a label; it has several. Export a label map.")
    values = values[np.newaxis] if values.ndim == 2 else values
    return values, geometry_of(reader, *values.shape)


def _picture(path: Path, shape: tuple[int, int, int] | None) -> NDArray[Any]:
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as picture:
            frames = getattr(picture, "n_frames", 1)
            wanted = shape or (frames, picture.height, picture.width)
            check_whole(math.prod(wanted))
            pages = []
            for page in range(frames):
                picture.seek(page)
                if (picture.height, picture.width) != wanted[1:] or page >= wanted[0]:
                    raise ImageError(
                        f"Expected a label of {_size(wanted)}; got {frames} x "
                        f"{picture.height} x {picture.width} (frames x rows x columns)."
                    )
                pages.append(_page(picture))
    except picture_damage():
        raise damaged("label") from None
    values = np.stack(pages)
    return values // 255 if values.any() and np.isin(values, (0, 255)).all() else values


def _page(picture: Any) -> NDArray[Any]:
    if picture.mode in ("RGB", "RGBA"):
        channels = np.asarray(picture.convert("RGB"))
        if not (channels == channels[..., :1]).all():
            raise ImageError(
                "Expected a label with one value for each pixel; this picture is in colour. "
                "Save it in grey or with a palette."
            )
        return channels[..., 0]
    if picture.mode == "LA":
        return np.asarray(picture.convert("L"))
    values = np.asarray(picture)  # of a palette: its indices
    return values.astype(np.uint8) if values.dtype == np.bool_ else values


def _indices(values: NDArray[Any]) -> LabelMap:
    if values.dtype == np.uint8:
        return values
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    whole = values.dtype.kind in "iub" or bool((np.floor(values) == values).all())
    if not whole or not (low >= 0 and high <= 255):
        raise ImageError("Expected whole numbers from 0 to 255 in a label; got others. Export a label map.")
    return values.astype(np.uint8)


def _same_place(one: Geometry, other: Geometry) -> bool:
    spacing, origin, direction = (
        np.abs(np.subtract(getattr(one, part), getattr(other, part)))
        for part in ("spacing", "origin", "direction")
    )
    axes = 2 if one.size[2] == 1 else 3  # a 2D file does not say how thick its only slice is
    voxel = np.asarray(other.spacing)
    return bool(
        (spacing[:axes] <= _PLACE * voxel[:axes]).all()
        and (origin <= 10 * _PLACE * voxel.max()).all()
        and (direction <= _PLACE).all()
    )


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
