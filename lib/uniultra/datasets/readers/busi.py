"""BUSI, the breast ultrasound images of Al-Dhabyani et al. 2020, as `Dataset_BUSI_with_GT` on Kaggle.

Folders `benign`, `malignant`, `normal` of `benign (1).png` with `benign (1)_mask.png`; further lesions of a
picture are `benign (1)_mask_1.png` and so on. Here they are one mask, lesions apart being its components;
`normal` pictures have an empty one. The 780 pictures are of 600 women and of nobody is said which: each
picture is its own group, and the set is known to hold near-duplicates. Licence: its Kaggle page says CC0.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np

from uniultra.datasets.readers import files
from uniultra.datasets.readers.types import Case, Label, Layout, Listing, Pair
from uniultra.errors import ImageError

PICTURE = re.compile(r"(benign|malignant|normal) ?\((\d+)\)")


def find(folder: Path) -> Listing:
    """See `Layout.find`."""
    cases = []
    for path in files.below(folder, "*.png"):
        name = PICTURE.fullmatch(path.stem)
        if name is None:
            continue
        marked = path.with_name(f"{path.stem}_mask.png")
        if not marked.is_file():
            raise ImageError("Expected a ..._mask.png beside each picture of BUSI; one has none.")
        further = sorted(path.parent.glob(f"{path.stem}_mask_*.png"))
        case = f"{name[1]}_{int(name[2])}"
        cases.append(Case(case, case, partial(_load, path, [marked, *further])))
    if not cases:
        raise ImageError(
            "Expected BUSI's folders benign, malignant and normal of pictures named like 'benign (1).png'; "
            "found none."
        )
    return Listing(cases)


def _load(picture: Path, masks: list[Path]) -> Pair:
    found = [files.mask(path) for path in masks]
    if len({one.shape for one in found}) > 1:
        raise ImageError("Expected the masks of a picture to have one size; they differ.")
    return Pair(files.grey(picture), {"lesion": np.any(found, axis=0)})


LAYOUT = Layout(
    name="busi",
    title="BUSI (Dataset_BUSI_with_GT), 2020",
    labels=(Label("lesion", "busi_breast", "breast lesion"),),
    licence="CC0-1.0 (its Kaggle page)",
    origin="BUSI, Al-Dhabyani et al. 2020, DOI 10.1016/j.dib.2019.104863",
    groups="picture (patients are not told)",
    find=find,
)
