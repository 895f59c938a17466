"""The output folder of an import: its manifest, and resampled pictures and masks."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uniultra.datasets.readers.types import Label, SourcePair
from uniultra.errors import ImageError
from uniultra.files import atomic

COLUMNS = (
    *("dataset", "id", "split", "group", "organ", "image", "mask", "width", "height", "spacing_mm", "hc_mm"),
    *("original_width", "original_height", "mask_pixels", "licence", "origin"),
)
MANIFEST = "manifest.csv"
Line = dict[str, str]


def fit(pair: SourcePair, side: int) -> SourcePair:
    """Resample to square pixels where the pitch is known, and to a longest side of at most `side` pixels.

    The finer pitch is kept, so that a picture is downsampled for `side` only. A picture that needs neither
    is not resampled.
    """
    height, width = pair.picture.shape
    dy, dx = pair.spacing_mm or (1.0, 1.0)
    pitch = min(dy, dx)
    pitch *= max(1.0, height * dy / pitch / side, width * dx / pitch / side)
    rows, columns = max(1, round(height * dy / pitch)), max(1, round(width * dx / pitch))
    spacing = (pitch, pitch) if pair.spacing_mm else None
    if (rows, columns) == (height, width):
        return SourcePair(pair.picture, pair.masks, spacing)
    picture = Image.fromarray(pair.picture).resize((columns, rows), Image.Resampling.BILINEAR)
    masks = {
        name: np.asarray(Image.fromarray(mask).resize((columns, rows), Image.Resampling.NEAREST))
        for name, mask in pair.masks.items()
    }
    return SourcePair(np.asarray(picture), masks, spacing)


def read(folder: Path) -> list[Line]:
    """The lines of a folder's manifest; an empty list without a manifest.

    Raises:
        ImageError: the manifest has other columns.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ImageError(
                f"Expected the manifest of the output folder to have the columns {', '.join(COLUMNS)}; "
                "it has others. Choose another folder."
            )
        return list(reader)


def adopt(folder: Path, output: Path, kept: Sequence[Line], new: Sequence[Line]) -> None:
    """Move the files of the lines `new` from `folder` to `output`, whose manifest then has `kept` and `new`.

    While files are moved the manifest has the lines `kept` alone: a kill in between leaves no line that
    names a file of an earlier import of the same set.
    """
    _write(output, kept)
    for line in new:
        for part in ("image", "mask"):
            (output / line[part]).parent.mkdir(parents=True, exist_ok=True)
            (folder / line[part]).replace(output / line[part])
    _write(output, [*kept, *new])


def _write(folder: Path, lines: Sequence[Line]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(lines)
    atomic.write(folder / MANIFEST, text.getvalue().encode())


def store(folder: Path, label: Label, name: str, pair: SourcePair, original: tuple[int, ...]) -> Line:
    """Write a picture, resampled from the size `original` `(H,W)`, and its mask; their cells of the line."""
    picture, mask = pair.picture, pair.masks[label.name]
    paths = {part: f"{label.dataset}/{part}s/{name}.png" for part in ("image", "mask")}
    _png(folder / paths["image"], picture)
    _png(folder / paths["mask"], mask)
    spacing = pair.spacing_mm
    return {
        **paths,
        "dataset": label.dataset,
        "organ": label.organ,
        "height": str(picture.shape[0]),
        "width": str(picture.shape[1]),
        "original_height": str(original[0]),
        "original_width": str(original[1]),
        "spacing_mm": f"{spacing[0]:.6g}" if spacing else "",
        "mask_pixels": str(int(mask.sum())),
    }


def _png(path: Path, pixels: NDArray[np.uint8] | NDArray[np.bool_]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, "PNG")  # bool: 1 bit per pixel
