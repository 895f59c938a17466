"""ITK's header and pixels, without its warnings and without texts that quote paths."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from uniultra.images.files import DAMAGE, damaged
from uniultra.images.types import Geometry

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@lru_cache(maxsize=1)
def sitk() -> Any:
    """SimpleITK, which is ITK with one class for every pixel type; imported at first use."""
    import SimpleITK

    # ITK's warnings name the file with its folders.
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    return SimpleITK


def read_header(path: Path, kind: str) -> Any:
    """A SimpleITK reader that has read the header of `path`, not its pixels.

    Raises:
        ImageError: ITK cannot read it.
    """
    reader = sitk().ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except DAMAGE:
        raise damaged(kind) from None
    return reader


def identity_geometry(frames: int, rows: int, columns: int) -> Geometry:
    """The header of pixels without a place in space, as ITK would give it."""
    return Geometry((columns, rows, frames), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), IDENTITY)


def geometry_of(reader: Any, frames: int, rows: int, columns: int) -> Geometry:
    """The ITK header in three dimensions: a flat picture gets a third axis, a fourth is left out."""
    count = reader.GetDimension()
    spacing = (*reader.GetSpacing(), 1.0)[:3]
    origin = (*reader.GetOrigin(), 0.0)[:3]
    given = reader.GetDirection()
    direction = list(IDENTITY)
    for row in range(min(count, 3)):
        for column in range(min(count, 3)):
            direction[3 * row + column] = given[count * row + column]
    return Geometry((columns, rows, frames), spacing, origin, tuple(direction))
