"""Manifests of data sets: CSV files with one row per labelled picture."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uniultra.errors import ImageError


@dataclass(frozen=True)
class Row:
    """One row of a manifest: a picture with its mask, data set and split.

    Attributes:
        spacing_mm: pixel pitch of the stored picture in mm, the same along both axes; None if unknown.
        group: ID of pictures that must stay in one split (a patient); None if the manifest does not say.
    """

    dataset: str
    id: str
    split: str
    image: Path
    mask: Path
    spacing_mm: float | None = None
    group: str | None = None


def read_manifest(folder: Path, datasets: Sequence[str] | None, splits: Sequence[str]) -> list[Row]:
    """The rows of `folder/manifest.csv` for data sets (None: all) and splits, in file order.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     lines = "dataset,id,split,image,mask,spacing_mm", "liver,7,train,7.png,7_mask.png,0.25"
    ...     _ = Path(name, "manifest.csv").write_text("\\n".join(lines))
    ...     [row] = read_manifest(Path(name), ["liver"], ["train", "val"])
    >>> row.id, row.image.name, row.spacing_mm, row.group
    ('7', '7.png', 0.25, None)

    Args:
        folder: folder of manifest.csv, or a manifest file of any name.
        datasets: names of the data sets.
        splits: names of the splits.

    Raises:
        ImageError: there is no manifest, or it has no such rows.
    """
    folder, path = (folder.parent, folder) if folder.is_file() else (folder, folder / "manifest.csv")
    if not path.is_file():
        raise ImageError("Expected a manifest.csv in the data folder; it has no such file. Check --data.")
    with path.open(newline="", encoding="utf-8") as stream:
        rows = [
            Row(
                r["dataset"],
                r["id"],
                r["split"],
                folder / r["image"],
                folder / r["mask"],
                _pitch(r.get("spacing_mm")),
                r.get("group") or None,
            )
            for r in csv.DictReader(stream)
            if (datasets is None or r["dataset"] in datasets) and r["split"] in splits
        ]
    if not rows:
        requested = ", ".join(datasets or ["any set"])
        raise ImageError(f"The manifest has no rows of {requested} in split {', '.join(splits)}.")
    return rows


def _pitch(text: str | None) -> float | None:
    """The pixel pitch of a manifest's cell in mm; None for an empty cell.

    Raises:
        ImageError: the cell is no number above 0.
    """
    try:
        pitch = float(text) if text else None
    except ValueError:
        pitch = math.nan
    if pitch is not None and not (math.isfinite(pitch) and pitch > 0):
        raise ImageError(
            "Expected spacing_mm of the manifest to be empty or millimetres above 0. Correct that column."
        )
    return pitch


def scored_sets(folder: Path) -> list[str]:
    """Names of the data sets of a manifest that have `test` rows, in file order.

    Raises:
        ImageError: there is no manifest, or it has no `test` rows.
    """
    return list(dict.fromkeys(row.dataset for row in read_manifest(folder, None, ["test"])))


def load_pair(row: Row) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Picture `(H,W)` uint8 and mask `(H,W)` bool of a row, at their stored resolution."""
    with Image.open(row.image) as picture, Image.open(row.mask) as mask:
        return np.asarray(picture.convert("L")), np.asarray(mask.convert("1"))
