"""Finds files of a data set at any depth, and decodes them with errors that name no path."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uniultra.errors import ImageError

PICTURES = (".png", ".jpg", ".jpeg", ".bmp")


def below(folder: Path, pattern: str) -> list[Path]:
    """Sorted files and folders that match a pattern at any depth, without hidden files and `__MACOSX`.

    Raises:
        ImageError: the folder does not exist.
    """
    if not folder.is_dir():
        raise ImageError("Expected the folder of an unpacked data set; it does not exist. Check its name.")
    return sorted(path for path in folder.rglob(pattern) if not _debris(path.relative_to(folder).parts))


def named(folder: Path, pattern: str, names: re.Pattern[str]) -> Iterator[tuple[Path, re.Match[str]]]:
    """Files `below` a folder whose whole name matches, with the match, in order.

    Raises:
        ImageError: the folder does not exist.
    """
    for path in below(folder, pattern):
        match = names.fullmatch(path.name)
        if match:
            yield path, match


def existing(path: Path, what: str) -> Path:
    """`path`, a file that the layout requires.

    Raises:
        ImageError: the file does not exist.
    """
    if not path.is_file():
        raise ImageError(f"Expected {what}; one is missing.")
    return path


def pictures(folder: Path) -> list[Path]:
    """Sorted picture files of a folder, without its subfolders."""
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in PICTURES and not _debris((path.name,))
    )


def only(paths: list[Path], what: str) -> Path:
    """The single path of a list.

    Raises:
        ImageError: the list is empty or has several paths.
    """
    if len(paths) != 1:
        raise ImageError(
            f"Expected one {what} in the folder; found {len(paths)}. Give the folder of one unpacked release."
        )
    return paths[0]


def grey(path: Path) -> NDArray[np.uint8]:
    """A picture file as `(H,W)` grey values.

    Raises:
        ImageError: it cannot be decoded.
    """
    return np.asarray(_open(path).convert("L"))


def mask(path: Path) -> NDArray[np.bool_]:
    """A black-and-white mask file as `(H,W)` bool; values of a lossy file are thresholded at 127.

    Raises:
        ImageError: the file cannot be decoded, or is not a black-and-white mask.
    """
    values = grey(path)
    white: NDArray[np.bool_] = values > 127
    if values.any() and not white.any():
        raise ImageError(
            f"Expected a mask of black (0) and white (255); the brightest value is {values.max()}. "
            "It may be of another release."
        )
    return white


def values(path: Path) -> NDArray[Any]:
    """A mask file of label values as `(H,W)`; several channels must be equal.

    Raises:
        ImageError: the file cannot be decoded, or is coloured.
    """
    labels = np.asarray(_open(path))
    if labels.ndim == 3:
        if (labels[..., :3] != labels[..., :1]).any():
            raise ImageError("Expected a mask of label values; got a coloured picture.")
        labels = labels[..., 0]
    return labels


def masks_of(labels: NDArray[Any], values: Mapping[str, int]) -> dict[str, NDArray[np.bool_]]:
    """Masks `(H,W)` by name from label values `(H,W)`, where 0 is background.

    Args:
        labels: label values as stored.
        values: the value of each name.

    Raises:
        ImageError: `labels` has other values.
    """
    allowed = (0, *values.values())
    strange = sorted(float(v) for v in set(np.unique(labels).tolist()) - set(allowed))
    if strange:
        raise ImageError(
            f"Expected a mask with the values {', '.join(map(str, allowed))}; got {strange[0]:g} as well. "
            "It may be of another release."
        )
    return {name: np.asarray(labels == value) for name, value in values.items()}


def medical(path: Path) -> tuple[NDArray[Any], tuple[float, float] | None]:
    """A NIfTI or MetaImage file of one picture: values `(H,W)` or `(C,H,W)`, and pitch `(dy,dx)` in mm.

    The pitch is None where the header has the formats' default of 1.0.

    Raises:
        ImageError: the file cannot be decoded.
    """
    from uniultra.images.itk import sitk

    module = sitk()
    try:
        image = module.ReadImage(str(path))
    except RuntimeError:
        raise ImageError("A file of the set cannot be decoded. Download it again.") from None
    pixels = np.asarray(module.GetArrayFromImage(image))
    dx, dy = (float(length) for length in image.GetSpacing()[:2])
    calibrated = all(math.isfinite(length) and length > 0 for length in (dx, dy)) and (dy, dx) != (1.0, 1.0)
    single = pixels.ndim == 3 and pixels.shape[0] == 1
    return (pixels[0] if single else pixels), ((dy, dx) if calibrated else None)


def eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey values 0..255 `(H,W)` of any number type as uint8.

    Raises:
        ImageError: values outside 0..255, or not two axes.
    """
    if pixels.ndim != 2 or not pixels.size or not (pixels.min() >= 0 and pixels.max() <= 255):
        raise ImageError(
            f"Expected one picture of grey values 0..255; got the shape {pixels.shape} "
            f"and values {pixels.min(initial=0):g}..{pixels.max(initial=0):g}."
        )
    return np.rint(pixels).astype(np.uint8)


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as opened:
            opened.load()
            return opened
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise ImageError("A picture of the set cannot be decoded. Download it again.") from None


def _debris(parts: tuple[str, ...]) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)
