"""Masks as files in the geometry of the image they belong to, for clients that know no packed answer."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from uniultra.errors import RequestError
from uniultra.images import write_mask
from uniultra.images.types import Plane, UltrasoundImage
from uniultra.serve.wire.packing import Mask

FILE_EXTENSIONS = (".nrrd", ".nii.gz", ".nii", ".mha")


def checked_extension(wanted: str | None) -> str:
    """The extension of a file answer, with its dot; `.nrrd` when none is wanted.

    Raises:
        RequestError: a format that is not written.
    """
    ext = wanted or FILE_EXTENSIONS[0]
    ext = ext if ext.startswith(".") else f".{ext}"
    if ext not in FILE_EXTENSIONS:
        raise RequestError(
            f"Expected result_extension to be one of {', '.join(FILE_EXTENSIONS)}; got another. "
            "A mask there is a label map of one structure, not a segmentation file."
        )
    return ext


def write_planes(image: UltrasoundImage, masks: Iterable[tuple[Plane, Mask]], ext: str) -> str:
    """A new temporary file of the size of `image` that holds the masks of some of its planes.

    Returns its path; the caller deletes it. Masks are consumed one by one.
    """
    full = np.zeros(image.shape, dtype=bool)
    for plane, mask in masks:
        where = {"k": np.s_[plane.index], "j": np.s_[:, plane.index], "i": np.s_[:, :, plane.index]}
        full[where[plane.axis]] = mask
    handle, name = tempfile.mkstemp(prefix="uniultra-", suffix=ext)
    os.close(handle)
    try:
        write_mask(full, image, Path(name))
    except BaseException:
        Path(name).unlink()
        raise
    return name
