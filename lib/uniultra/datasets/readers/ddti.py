"""DDTI, thyroid nodules of Pedraza et al. 2015 (CIM@LAB, Universidad Nacional de Colombia), also on Kaggle.

A case is `N.xml` with pictures `N_1.jpg`, `N_2.jpg` ...; each `mark` of the XML names a picture by its
number (`image`, from 1) and outlines nodules in it (`svg`: JSON, a list of `points` with x and y in
pixels). A picture without an outline is skipped, since it may show a nodule all the same. The group is the
case. Licence: not stated; the paper calls it open access. Age, sex and findings are not read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon2mask

from uniultra.datasets.readers import files
from uniultra.datasets.readers.types import UNSTATED, DatasetLayout, Label, SourcePair, SourcePicture
from uniultra.errors import ImageError

Outline = NDArray[np.float64]


def find(folder: Path) -> Iterator[SourcePicture | None]:
    """See `DatasetLayout.find`."""
    for path in files.below(folder, "*.xml"):
        if not path.stem.isdecimal():
            continue
        number = str(int(path.stem))
        outlines = _outlines(path)
        for picture in sorted(path.parent.glob(f"{path.stem}_*.jpg")):
            index = picture.stem.partition("_")[2]
            drawn = outlines.pop(int(index), []) if index.isdecimal() else []
            load = partial(_load, picture, drawn)
            yield SourcePicture(f"{number}_{index}", number, load) if drawn else None
        yield from (None for drawn in outlines.values() if drawn)  # outlines whose picture is missing


def _outlines(path: Path) -> dict[int, list[Outline]]:
    """Outlines `(P,2)` in x, y of each picture of a case, by its number.

    Raises:
        ImageError: the file is not XML. Outlines that cannot be read are skipped.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError):
        raise ImageError("A case of DDTI is no XML file. Download it again.") from None
    outlines: dict[int, list[Outline]] = {}
    for mark in root.iter("mark"):
        index = (mark.findtext("image") or "").strip()
        if index.isdecimal():
            outlines.setdefault(int(index), []).extend(_regions(mark.findtext("svg") or ""))
    return outlines


def _regions(svg: str) -> list[Outline]:
    try:
        content: Any = json.loads(svg)
        regions = content if isinstance(content, list) else [content]
        read = [[(float(p["x"]), float(p["y"])) for p in region["points"]] for region in regions]
    except (ValueError, KeyError, TypeError):
        return []
    return [np.array(p) for p in read if len(p) > 2 and all(math.isfinite(v) for xy in p for v in xy)]


def _load(picture: Path, outlines: list[Outline]) -> SourcePair:
    pixels = files.grey(picture)
    drawn = [polygon2mask(pixels.shape, outline[:, ::-1]) for outline in outlines]
    return SourcePair(pixels, {"nodule": np.any(drawn, axis=0)})


LAYOUT = DatasetLayout(
    name="ddti",
    title="DDTI with XML outlines, 2015",
    labels=(Label("nodule", "ddti_nodule", "thyroid nodule"),),
    licence=UNSTATED,
    origin="DDTI, Pedraza et al. 2015, DOI 10.1117/12.2073532",
    groups="case",
    expects="DDTI's cases 1.xml ... with pictures 1_1.jpg ... and outlines",
    find=find,
)
