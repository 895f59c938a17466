"""Frames of a label: what is in each of them, and which are done."""

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
    """The values other than 0 in each frame (slice) of a label file, as `read_labelmap` has them.

    A file that has no such values (it is in colour, say) is kept, but nobody can train on it: 1 stands for
    whatever is marked.

    Args:
        path: of the file.
        decoded: SimpleITK's image of it.
    """
    try:
        return [{int(v) for v in np.unique(one) if v} for one in read_values(path)[0]]
    except ImageError:
        return [{1} if one.any() else set() for one in _slices(decoded)]


def _slices(label: Any) -> NDArray[Any]:
    voxels: NDArray[Any] = np.asarray(sitk().GetArrayViewFromImage(label))
    if label.GetNumberOfComponentsPerPixel() > 1:
        voxels = voxels.any(axis=-1)
    while voxels.ndim > 3 and voxels.shape[0] == 1:
        voxels = voxels[0]
    return voxels[np.newaxis] if voxels.ndim == 2 else voxels


def labelled_frames(
    wanted: Iterable[int] | None, values: list[set[int]], frames: int
) -> tuple[int, ...] | None:
    """Which frames of an image with so many are labelled; None for all of a still or a volume.

    Raises:
        RequestError: a frame that the image does not have.
    """
    if frames <= 1:
        return None
    if wanted is None:
        return tuple(n for n, found in enumerate(values) if found and n < frames)
    chosen = tuple(sorted(set(wanted)))
    if any(isinstance(n, bool) or not isinstance(n, int) or not 0 <= n < frames for n in chosen):
        raise RequestError(
            f"Expected frames as numbers from 0 to {frames - 1}; got others. Name those that are done."
        )
    return chosen
