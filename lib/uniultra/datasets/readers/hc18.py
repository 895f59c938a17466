"""HC18, fetal heads of van den Heuvel et al. 2018, Zenodo 1327317, CC BY 4.0.

`training_set` of `000_HC.png` with `000_HC_Annotation.png`, the outline of an ellipse, which is filled here;
one that the picture's border cuts is first completed to the ellipse it lies on. The first number is the
woman's, `000_2HC.png` her second picture: the group. `training_set_pixel_size_and_HC.csv` has pixel size
and head circumference. The set's own test part has no outlines, so it is not brought in.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uniultra.datasets.readers import files
from uniultra.datasets.readers.types import DatasetLayout, Label, SourcePair, SourcePicture
from uniultra.errors import ImageError

OUTLINE = re.compile(r"((\d+)_\d*HC)_Annotation\.png")
TABLE = "training_set_pixel_size_and_HC.csv"
NEAR = 4.0  # pixels that an outline may lie off its ellipse


def find(folder: Path) -> Iterator[SourcePicture]:
    """See `DatasetLayout.find`."""
    sizes = _table(folder)
    for path, name in files.named(folder, "*_Annotation.png", OUTLINE):
        picture = files.existing(path.with_name(f"{name[1]}.png"), "a picture beside each outline of HC18")
        pitch, circumference = sizes.get(picture.name, (None, None))
        load = partial(_load, picture, path, pitch)
        yield SourcePicture(name[1], f"{int(name[2]):04d}", load, hc_mm=circumference)


def _table(folder: Path) -> dict[str, tuple[float, float]]:
    """Pixel size and head circumference in mm of each picture; nothing without the table.

    Raises:
        ImageError: the table has other columns, or no number where one should be.
    """
    tables = files.below(folder, TABLE)
    if not tables:
        return {}
    with tables[0].open(newline="", encoding="utf-8-sig") as stream:
        try:
            rows = [
                (row[0].strip(), float(row[1]), float(row[2])) for row in list(csv.reader(stream))[1:] if row
            ]
        except (ValueError, IndexError):
            raise ImageError(f"Expected {TABLE} to hold name, pixel size and circumference.") from None
    if any(not (math.isfinite(pitch) and pitch > 0) for _, pitch, _ in rows):
        raise ImageError(f"Expected the pixel sizes of {TABLE} to be above 0; one is not.")
    return {name: (pitch, circumference) for name, pitch, circumference in rows}


def _load(picture: Path, outline: Path, pitch: float | None) -> SourcePair:
    filled = fill(files.mask(outline))
    return SourcePair(files.grey(picture), {"head": filled}, None if pitch is None else (pitch, pitch))


def fill(outline: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What an outline `(H,W)` encloses, itself included.

    Raises:
        ImageError: it encloses nothing and lies on no ellipse.
    """
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(outline)
    # A ring around a head encloses many times its own pixels; an open one encloses next to none.
    if filled.sum() > 3 * outline.sum():
        return filled
    import cv2

    points = np.argwhere(outline)[:, ::-1].astype(np.float32)
    if len(points) < 5:
        raise ImageError("Expected the outline of a head; the file has next to no pixels.")
    ellipse = cv2.fitEllipseDirect(points)
    blank = np.zeros(outline.shape, np.uint8)
    cv2.ellipse(blank, ellipse, 1, thickness=-1)  # type: ignore[call-overload]
    whole = blank.astype(bool)
    edge = whole & ~ndimage.binary_erosion(whole, border_value=1)
    if not edge.any() or ndimage.distance_transform_edt(~edge)[outline].max() > NEAR:
        raise ImageError(
            "Expected the outline of a head to be closed, or part of an ellipse; one is neither."
        )
    return whole | outline


LAYOUT = DatasetLayout(
    name="hc18",
    title="HC18 training set, Zenodo 2018",
    labels=(Label("head", "hc18_fetal_head", "fetal head"),),
    licence="CC BY 4.0",
    origin="HC18, van den Heuvel et al. 2018, Zenodo 1327317",
    groups="patient",
    expects="HC18's training_set with files like 000_HC.png and 000_HC_Annotation.png",
    find=find,
)
