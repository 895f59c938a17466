"""PSFHS (Zenodo 10969427) and FH-PS-AOP (Zenodo 7851339), challenges of 2023 on JNU-IFM's subject, CC BY 4.0.

`image_mha` and `label_mha` of `03744.mha` each: pictures of 256 by 256 pixels, three equal channels first or
one; 1 is the pubic symphysis, 2 the fetal head. FH-PS-AOP's are frames of videos, and for neither is said
which belong together, so all are one group, which goes to one split: `--splits` says to which. They were
brought to a square, so the headers' pitch means nothing and none is kept.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniultra.datasets.readers import files
from uniultra.datasets.readers.types import Case, Label, Layout, Listing, Pair
from uniultra.errors import ImageError

VALUES = {"symphysis": 1, "head": 2}


def find(folder: Path) -> Listing:
    """See `Layout.find`."""
    images = files.only(files.below(folder, "image_mha"), "folder image_mha")
    marked = images.with_name("label_mha")
    if not marked.is_dir():
        raise ImageError("Expected a folder label_mha beside image_mha; there is none.")
    found = files.below(images, "*.mha")
    known = [path for path in found if (marked / path.name).is_file()]
    if not known:
        raise ImageError("Expected files of the same names in image_mha and label_mha; found none.")
    cases = [Case(path.stem, "all", partial(_load, path, marked / path.name)) for path in known]
    return Listing(cases, len(found) - len(known))


def _load(picture: Path, marked: Path) -> Pair:
    labels = files.check_values(files.medical(marked)[0], (0, *VALUES.values()))
    pixels = files.eight_bits(_one_channel(files.medical(picture)[0]))
    return Pair(pixels, {name: labels == value for name, value in VALUES.items()})


def _one_channel(pixels: NDArray[Any]) -> NDArray[Any]:
    """`(H,W)` of a picture that may have equal channels, first or last."""
    for axis in (0, -1):
        if pixels.ndim == 3 and pixels.shape[axis] == 3:
            return np.rint(pixels.astype(np.float64).mean(axis))
    return pixels


LAYOUT = Layout(
    name="psfhs",
    title="PSFHS or FH-PS-AOP, Zenodo 2023 and 2024",
    labels=(
        Label("symphysis", "psfhs_symphysis", "pubic symphysis"),
        Label("head", "psfhs_head", "fetal head, intrapartum"),
    ),
    licence="CC BY 4.0",
    origin="PSFHS and FH-PS-AOP, DOI 10.1038/s41597-024-03266-4, Zenodo 7851339",
    groups="the whole set (neither patients nor videos are told)",
    find=find,
)
