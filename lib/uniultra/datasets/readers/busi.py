"""BUSI, the breast ultrasound images of Al-Dhabyani et al. 2020, as `Dataset_BUSI_with_GT` on Kaggle.

Folders `benign`, `malignant`, `normal` of `benign (1).png` with `benign (1)_mask.png`; further lesions of a
picture are `benign (1)_mask_1.png` and so on. Here they are one mask, whose components are the lesions;
`normal` pictures have an empty mask. The 780 pictures are of 600 women, but the patient of a picture is not
given: each picture is its own group, and the set is known to hold near-duplicates. Licence: CC0 by its Kaggle
page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from uniultra.datasets.readers import files
from uniultra.datasets.readers.types import DatasetLayout, Label, SourcePair, SourcePicture
from uniultra.errors import ImageError

PICTURE = re.compile(r"((benign|malignant|normal) ?\((\d+)\))\.png")


def find(folder: Path) -> Iterator[SourcePicture]:
    """See `DatasetLayout.find`."""
    for path, name in files.named(folder, "*.png", PICTURE):
        marked = files.existing(
            path.with_name(f"{name[1]}_mask.png"), "a ..._mask.png beside each picture of BUSI"
        )
        masks = [marked, *sorted(path.parent.glob(f"{name[1]}_mask_*.png"))]
        identifier = f"{name[2]}_{int(name[3])}"
        yield SourcePicture(identifier, identifier, partial(_load, path, masks))


def _load(picture: Path, paths: list[Path]) -> SourcePair:
    masks = [files.mask(path) for path in paths]
    if len({mask.shape for mask in masks}) > 1:
        raise ImageError("Expected the masks of a picture to have one size; they differ.")
    return SourcePair(files.grey(picture), {"lesion": np.any(masks, axis=0)})


LAYOUT = DatasetLayout(
    name="busi",
    title="BUSI (Dataset_BUSI_with_GT), 2020",
    labels=(Label("lesion", "busi_breast", "breast lesion"),),
    licence="CC0-1.0 (its Kaggle page)",
    origin="BUSI, Al-Dhabyani et al. 2020, DOI 10.1016/j.dib.2019.104863",
    groups="picture (patients are not known)",
    expects="BUSI's folders benign, malignant and normal of pictures named like 'benign (1).png'",
    find=find,
)
