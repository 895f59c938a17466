"""Writes masks with the geometry of their image."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import ImageError
from uniultra.images.files import DAMAGE
from uniultra.images.itk import sitk
from uniultra.images.types import UltrasoundImage

MASK_ENDINGS = (".nrrd", ".nii.gz", ".nii", ".mha")


def write_mask(mask: NDArray[Any], image: UltrasoundImage, path: str | os.PathLike[str]) -> None:
    """Write `mask` as compressed uint8 with the image's geometry, atomically.

    Args:
        mask: `(H,W)` for an image of one frame, else `(T,H,W)`; bool or uint8 (label indices).
        image: the image the mask belongs to.
        path: ends in .nrrd, .nii.gz, .nii or .mha, in an existing folder; an older file is replaced.

    Raises:
        ImageError: another ending, shape or number type, or a folder that cannot be written.

    A mask of a still, read back:

        >>> import tempfile
        >>> from PIL import Image
        >>> from uniultra.images import read_image
        >>> folder = Path(tempfile.mkdtemp())
        >>> Image.new("L", (64, 48)).save(folder / "still.png")
        >>> mask = np.zeros((48, 64), bool)
        >>> mask[10:20, 10:30] = True
        >>> write_mask(mask, read_image(folder / "still.png"), folder / "mask.nrrd")
        >>> int((read_image(folder / "mask.nrrd").frames > 0).sum())
        200
    """
    path = Path(path)
    ending = next((e for e in MASK_ENDINGS if path.name.lower().endswith(e)), None)
    if ending is None:
        raise ImageError(
            f"A mask is written as {', '.join(MASK_ENDINGS)}; got another ending. Choose one of them."
        )
    volume = _as_volume(mask, image)
    picture = sitk().GetImageFromArray(volume)
    picture.SetSpacing(image.geometry.spacing)
    picture.SetOrigin(image.geometry.origin)
    # ITK chooses the format by the ending, so the temporary file has the same one.
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp{ending}")
    try:
        picture.SetDirection(image.geometry.direction)
        sitk().WriteImage(picture, str(temporary), useCompression=True)
        temporary.replace(path)
    except DAMAGE:
        raise ImageError(
            "The mask could not be written: the folder is missing, full or read-only, or the format cannot "
            "hold the image's orientation. Check the folder, or choose .nrrd."
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def _as_volume(mask: NDArray[Any], image: UltrasoundImage) -> NDArray[np.uint8]:
    mask = np.asarray(mask)
    if mask.dtype not in (np.bool_, np.uint8):
        raise ImageError(f"A mask is bool or uint8; got {mask.dtype}. Convert it.")
    volume = mask[np.newaxis] if mask.ndim == 2 else mask
    if volume.shape != image.shape:
        expected = image.shape[1:] if image.shape[0] == 1 else image.shape
        raise ImageError(
            f"Expected a mask of {' x '.join(map(str, expected))}; got {' x '.join(map(str, mask.shape))}. "
            "Send one mask pixel per image pixel, frames first."
        )
    return np.ascontiguousarray(volume).astype(np.uint8)
