"""The folder that an import writes: its manifest, and pictures and masks brought to one size."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, eq=False)
class Fitted:
    """A pair as it is stored: `pair` with one pitch for both axes, and the source's `(H,W)`."""

    pair: SourcePair
    original: tuple[int, int]


def fit(pair: SourcePair, side: int) -> Fitted:
    """Bring pixels to squares where their pitch is known, and the longest side to at most `side`.

    The finer pitch is kept, so a picture is only made smaller for `side`. One that needs neither stays as
    it is, to the pixel.
    """
    height, width = pair.picture.shape
    dy, dx = pair.spacing_mm or (1.0, 1.0)
    pitch = min(dy, dx)
    pitch *= max(1.0, height * dy / pitch / side, width * dx / pitch / side)
    rows, columns = max(1, round(height * dy / pitch)), max(1, round(width * dx / pitch))
    known = (pitch, pitch) if pair.spacing_mm else None
    if (rows, columns) == (height, width):
        return Fitted(SourcePair(pair.picture, pair.masks, known), (height, width))
    picture = Image.fromarray(pair.picture).resize((columns, rows), Image.Resampling.BILINEAR)
    masks = {
        name: np.asarray(Image.fromarray(mask).resize((columns, rows), Image.Resampling.NEAREST))
        for name, mask in pair.masks.items()
    }
    return Fitted(SourcePair(np.asarray(picture), masks, known), (height, width))


def read(folder: Path) -> list[Line]:
    """The lines of a folder's manifest; none when it has no manifest.

    Raises:
        ImageError: it has other columns.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        found = csv.DictReader(stream)
        if tuple(found.fieldnames or ()) != COLUMNS:
            raise ImageError(
                f"Expected the manifest of the output folder to have the columns {', '.join(COLUMNS)}; "
                "it has others. Choose another folder."
            )
        return list(found)


def adopt(folder: Path, output: Path, kept: Sequence[Line], new: Sequence[Line]) -> None:
    """Move the files of the rows `new` from `folder` to `output`, whose manifest then has `kept` and `new`.

    In between it has `kept` alone, so that no row ever stands for a file of an earlier import.
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


def store(folder: Path, label: Label, name: str, fitted: Fitted) -> Line:
    """Write one picture and one mask of it; their part of the row."""
    picture, mask = fitted.pair.picture, fitted.pair.masks[label.name]
    paths = {part: f"{label.dataset}/{part}s/{name}.png" for part in ("image", "mask")}
    _png(folder / paths["image"], picture)
    _png(folder / paths["mask"], mask)
    spacing = fitted.pair.spacing_mm
    return {
        **paths,
        "dataset": label.dataset,
        "organ": label.organ,
        "height": str(picture.shape[0]),
        "width": str(picture.shape[1]),
        "original_height": str(fitted.original[0]),
        "original_width": str(fitted.original[1]),
        "spacing_mm": f"{spacing[0]:.6g}" if spacing else "",
        "mask_pixels": str(int(mask.sum())),
    }


def _png(path: Path, pixels: NDArray[np.uint8] | NDArray[np.bool_]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, "PNG")  # of bool: one bit a pixel
