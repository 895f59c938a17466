"""Files of a data set: finding them however deep they were unpacked, and opening them or saying why not."""

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
    """Files and folders of a pattern at any depth, in order; not what archives leave behind on a Mac.

    Raises:
        ImageError: the folder does not exist.
    """
    if not folder.is_dir():
        raise ImageError("Expected the folder of an unpacked data set; it does not exist. Check its name.")
    return sorted(path for path in folder.rglob(pattern) if not _debris(path.relative_to(folder).parts))


def named(folder: Path, pattern: str, names: re.Pattern[str]) -> Iterator[tuple[Path, re.Match[str]]]:
    """Files `below` a folder whose whole name matches, in order.

    Raises:
        ImageError: the folder does not exist.
    """
    for path in below(folder, pattern):
        match = names.fullmatch(path.name)
        if match:
            yield path, match


def existing(path: Path, what: str) -> Path:
    """`path`, a file that the layout promises.

    Raises:
        ImageError: the file does not exist.
    """
    if not path.is_file():
        raise ImageError(f"Expected {what}; one is missing.")
    return path


def pictures(folder: Path) -> list[Path]:
    """The pictures right in a folder, in order."""
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in PICTURES and not _debris((path.name,))
    )


def only(found: list[Path], what: str) -> Path:
    """The only one found.

    Raises:
        ImageError: none, or several.
    """
    if len(found) != 1:
        raise ImageError(
            f"Expected one {what} in the folder; found {len(found)}. Give the folder of one unpacked release."
        )
    return found[0]


def grey(path: Path) -> NDArray[np.uint8]:
    """A picture file as `(H,W)` grey values.

    Raises:
        ImageError: it cannot be decoded.
    """
    return np.asarray(_open(path).convert("L"))


def mask(path: Path) -> NDArray[np.bool_]:
    """A black-and-white mask file as `(H,W)` bool; values of a lossy file are rounded.

    Raises:
        ImageError: it cannot be decoded, or is no mask of black and white.
    """
    values = grey(path)
    found: NDArray[np.bool_] = values > 127
    if values.any() and not found.any():
        raise ImageError(
            f"Expected a mask of black (0) and white (255); the brightest value is {values.max()}. "
            "It may be of another release."
        )
    return found


def values(path: Path) -> NDArray[Any]:
    """A mask file of label values as `(H,W)`, its channels (if there are several) being the same.

    Raises:
        ImageError: it cannot be decoded, or is coloured.
    """
    found = np.asarray(_open(path))
    if found.ndim == 3:
        if (found[..., :3] != found[..., :1]).any():
            raise ImageError("Expected a mask of label values; got a coloured one.")
        found = found[..., 0]
    return found


def masks_of(labels: NDArray[Any], values: Mapping[str, int]) -> dict[str, NDArray[np.bool_]]:
    """Masks `(H,W)` by name from label values `(H,W)`, where 0 is background.

    Args:
        labels: as stored.
        values: the value of each name.

    Raises:
        ImageError: there are other values.
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
    """A NIfTI or MetaImage file of one picture: its values `(H,W)` or `(C,H,W)`, and its pitch `(dy,dx)`.

    The pitch is None where the header has nothing but the formats' default of 1.0.

    Raises:
        ImageError: it cannot be decoded.
    """
    from uniultra.images.itk import sitk

    module = sitk()
    try:
        image = module.ReadImage(str(path))
    except RuntimeError:
        raise ImageError("A file of the set cannot be decoded. Download it again.") from None
    found = np.asarray(module.GetArrayFromImage(image))
    dx, dy = (float(length) for length in image.GetSpacing()[:2])
    known = all(math.isfinite(length) and length > 0 for length in (dx, dy)) and (dy, dx) != (1.0, 1.0)
    return (found[0] if found.ndim == 3 and found.shape[0] == 1 else found), (dy, dx) if known else None


def eight_bits(found: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey values 0..255 of any number type as uint8 `(H,W)`.

    Raises:
        ImageError: there are others, or the picture has not two axes.
    """
    if found.ndim != 2 or not found.size or not (found.min() >= 0 and found.max() <= 255):
        raise ImageError(
            f"Expected one picture of grey values 0..255; got the shape {found.shape} "
            f"and values {found.min(initial=0):g}..{found.max(initial=0):g}."
        )
    return np.rint(found).astype(np.uint8)


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as opened:
            opened.load()
            return opened
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise ImageError("A picture of the set cannot be decoded. Download it again.") from None


def _debris(parts: tuple[str, ...]) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)
