"""Access to ITK, without its warnings and messages, which quote paths."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from uniultra.images.files import decoding
from uniultra.images.types import Geometry

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@lru_cache(maxsize=1)
def sitk() -> Any:
    """The SimpleITK module, imported at first use."""
    import SimpleITK

    # ITK's warnings name the file with its folders.
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    return SimpleITK


def read_header(path: Path, kind: str) -> Any:
    """A SimpleITK reader that has read the header of `path` but not its pixels.

    Raises:
        ImageError: ITK cannot read it.
    """
    reader = sitk().ImageFileReader()
    reader.SetFileName(str(path))
    with decoding(kind):
        reader.ReadImageInformation()
    return reader


def identity_geometry(frames: int, rows: int, columns: int) -> Geometry:
    """The geometry ITK gives pixels without a position in space."""
    return Geometry((columns, rows, frames), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), IDENTITY)


def geometry_of(reader: Any, frames: int, rows: int, columns: int) -> Geometry:
    """The ITK header in three dimensions: a 2D picture gets a third axis, a fourth axis is left out."""
    count = reader.GetDimension()
    spacing = (*reader.GetSpacing(), 1.0)[:3]
    origin = (*reader.GetOrigin(), 0.0)[:3]
    shared = min(count, 3)
    direction = np.eye(3)
    direction[:shared, :shared] = np.reshape(reader.GetDirection(), (count, count))[:shared, :shared]
    return Geometry((columns, rows, frames), spacing, origin, tuple(direction.ravel().tolist()))
