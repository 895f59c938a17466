"""Frames of a label: their values, and which of them are labelled."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import ImageError, RequestError
from uniultra.images.itk import sitk
from uniultra.store.labels.labelmap import read_values


def values_by_frame(path: Path, decoded: Any) -> list[set[int]]:
    """The nonzero values in each frame (slice) of a label file, as `read_labelmap` returns them.

    A file that is no label map (a colour picture, for example) may be saved, but not trained on: 1 stands for
    any mark in it.

    Args:
        path: of the file.
        decoded: SimpleITK's image of it.
    """
    try:
        return [{int(v) for v in np.unique(frame) if v} for frame in read_values(path)[0]]
    except ImageError:
        return [{1} if frame.any() else set() for frame in _slices(decoded)]


def _slices(label: Any) -> NDArray[Any]:
    voxels: NDArray[Any] = np.asarray(sitk().GetArrayViewFromImage(label))
    if label.GetNumberOfComponentsPerPixel() > 1:
        voxels = voxels.any(axis=-1)
    while voxels.ndim > 3 and voxels.shape[0] == 1:
        voxels = voxels[0]
    return voxels[np.newaxis] if voxels.ndim == 2 else voxels


def labelled_frames(
    requested: Iterable[int] | None, values: list[set[int]], frames: int
) -> tuple[int, ...] | None:
    """The labelled frames of an image with `frames` frames; None for a still or a volume.

    Raises:
        RequestError: the image does not have such a frame.
    """
    if frames <= 1:
        return None
    if requested is None:
        return tuple(n for n, marks in enumerate(values) if marks and n < frames)
    chosen = tuple(sorted(set(requested)))
    if any(isinstance(n, bool) or not isinstance(n, int) or not 0 <= n < frames for n in chosen):
        raise RequestError(
            f"Expected frames as numbers from 0 to {frames - 1}; got others. Name those that are done."
        )
    return chosen
