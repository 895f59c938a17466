"""TN3K, thyroid nodules of Gong et al. (TRFE-Net, 2021 and 2023), as published with its code.

`trainval-image`, `trainval-mask`, `test-image`, `test-mask` of `0000.jpg` each (the masks are JPEG too:
rounded), and `tn3k-trainval-fold0.json` to 4, whose `train` and `val` number the trainval pictures in order
of their names. Its own test part is kept; fold 0 divides the rest, or the hash of the group if there is no
such file. The 3,493 pictures are of 2,421 patients, but the patient of a picture is not given: each picture
is its own group. Licence: not stated.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from uniultra.datasets.readers import files
from uniultra.datasets.readers.types import UNSTATED, DatasetLayout, Label, SourcePair, SourcePicture, Split
from uniultra.errors import ImageError

FOLD = "tn3k-trainval-fold0.json"


def find(folder: Path) -> Iterator[SourcePicture]:
    """See `DatasetLayout.find`."""
    root = files.only(files.below(folder, "trainval-image"), "folder trainval-image").parent
    for part in ("trainval", "test"):
        images, masks = root / f"{part}-image", root / f"{part}-mask"
        if not images.is_dir() or not masks.is_dir():
            raise ImageError(f"Expected TN3K's folders {part}-image and {part}-mask; one is missing.")
        paths = files.pictures(images)
        folds = _fold(root / FOLD, len(paths)) if part == "trainval" else {}
        for n, path in enumerate(paths):
            marked = files.existing(
                masks / path.name, f"a mask of the same name for each picture of TN3K's {part} part"
            )
            name = f"{part}_{path.stem}"
            split: Split | None = "test" if part == "test" else folds.get(n)
            yield SourcePicture(name, name, partial(_load, path, marked), split)


def _fold(path: Path, count: int) -> dict[int, Split]:
    """The split of each of the `count` trainval pictures, by number; empty without the file."""
    if not path.is_file():
        return {}
    try:
        fold = json.loads(path.read_text(encoding="utf-8"))
        parts: dict[Split, list[int]] = {name: [int(n) for n in fold[name]] for name in ("train", "val")}
    except (ValueError, KeyError, TypeError):
        raise ImageError(f"Expected {FOLD} to list numbers under train and val; it does not.") from None
    numbers = [n for part in parts.values() for n in part]
    if len(set(numbers)) != len(numbers) or not set(numbers) <= set(range(count)):
        raise ImageError(
            f"Expected {FOLD} to number the {count} trainval pictures, each once; it does not fit them."
        )
    return {n: name for name, part in parts.items() for n in part}


def _load(picture: Path, marked: Path) -> SourcePair:
    return SourcePair(files.grey(picture), {"nodule": files.mask(marked)})


LAYOUT = DatasetLayout(
    name="tn3k",
    title="TN3K with its five folds, 2023",
    labels=(Label("nodule", "tn3k_nodule", "thyroid nodule"),),
    licence=UNSTATED,
    origin="TN3K, Gong et al. 2023, DOI 10.1016/j.compbiomed.2022.106389",
    groups="picture (patients are not known)",
    expects="TN3K's folders trainval-image, trainval-mask, test-image and test-mask",
    find=find,
)
