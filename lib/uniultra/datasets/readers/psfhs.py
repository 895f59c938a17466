"""PSFHS (Zenodo 10969427) and FH-PS-AOP (Zenodo 7851339), challenges of 2023 on JNU-IFM's subject, CC BY 4.0.

`image_mha` and `label_mha` of `03744.mha` each: pictures of 256 by 256 pixels, three equal channels first or
one; 1 is the pubic symphysis, 2 the fetal head. FH-PS-AOP's are frames of videos, but the video of a frame is
not given, so all are one group, which goes to one split: choose it by `--splits`. They were resampled to
squares, so the headers' pitch is meaningless and not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniultra.datasets.readers import files
from uniultra.datasets.readers.types import DatasetLayout, Label, SourcePair, SourcePicture
from uniultra.errors import ImageError

VALUES = {"symphysis": 1, "head": 2}


def find(folder: Path) -> Iterator[SourcePicture | None]:
    """See `DatasetLayout.find`."""
    images = files.only(files.below(folder, "image_mha"), "folder image_mha")
    marked = images.with_name("label_mha")
    if not marked.is_dir():
        raise ImageError("Expected a folder label_mha beside image_mha; it does not exist.")
    for path in files.below(images, "*.mha"):
        mask = marked / path.name
        yield SourcePicture(path.stem, "all", partial(_load, path, mask)) if mask.is_file() else None


def _load(picture: Path, marked: Path) -> SourcePair:
    pixels = files.eight_bits(_one_channel(files.medical(picture)[0]))
    return SourcePair(pixels, files.masks_of(files.medical(marked)[0], VALUES))


def _one_channel(pixels: NDArray[Any]) -> NDArray[Any]:
    """`(H,W)` of a picture that may have equal channels, first or last."""
    for axis in (0, -1):
        if pixels.ndim == 3 and pixels.shape[axis] == 3:
            return np.rint(pixels.astype(np.float64).mean(axis))
    return pixels


LAYOUT = DatasetLayout(
    name="psfhs",
    title="PSFHS or FH-PS-AOP, Zenodo 2023 and 2024",
    labels=(
        Label("symphysis", "psfhs_symphysis", "pubic symphysis"),
        Label("head", "psfhs_head", "fetal head, intrapartum"),
    ),
    licence="CC BY 4.0",
    origin="PSFHS and FH-PS-AOP, DOI 10.1038/s41597-024-03266-4, Zenodo 7851339",
    groups="the whole set (neither patients nor videos are known)",
    expects="files of the same names in image_mha and label_mha",
    find=find,
)
