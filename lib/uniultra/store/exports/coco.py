"""Exports pictures, masks and `annotations.json` in COCO format, for other tools.

COCO: Lin et al. 2014, arXiv 1405.0312. Masks are run lengths along the columns, which its tools read
directly: polygons cannot have holes and would shift the border.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from uniultra import __version__
from uniultra.images.burned_in import burned_in
from uniultra.images.types import Picture
from uniultra.store.exports.labelled import LabelledImage, LabelStructure, Names, frame_name

Mask = NDArray[np.bool_]


class CocoFolder:
    """Writes `images/`, `masks/` and `annotations.json`.

    A picture for each labelled frame; its mask is a PNG of the same name whose pixels are the structures'
    indices, with a palette of their colours. One annotation for each connected part of a structure. A frame
    without annotations was labelled as empty.
    """

    def __init__(self, folder: Path, structures: Sequence[LabelStructure], title: str) -> None:
        self._folder, self._structures, self._title = folder, structures, title
        self._names = Names()
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        for part in ("images", "masks"):
            (folder / part).mkdir()

    def add(self, labelled: LabelledImage) -> int:
        """Write the labelled frames of an image and return their number.

        Raises:
            ImageError: a frame cannot be decoded; then none is written.
        """
        about = {
            "height": labelled.image.shape[1],
            "width": labelled.image.shape[2],
            "source": labelled.label.image,
            "revision": labelled.label.revision,
            "burned_in": burned_in(labelled.path),
        }
        for frame, picture in zip(labelled.frames, labelled.pictures(), strict=True):
            name = f"{self._names.take(frame_name(labelled.name, frame, labelled.image.shape[0]))}.png"
            values = labelled.values[frame]
            write_png(self._folder / "images" / name, picture)
            write_indexed(self._folder / "masks" / name, values, self._structures)
            self._images.append({"id": len(self._images) + 1, "file_name": name, "frame": frame, **about})
            self._annotate(values)
        return len(labelled.frames)

    def _annotate(self, values: NDArray[np.uint8]) -> None:
        for structure in self._structures:
            for mask in _parts(values == structure.index):
                number = len(self._annotations) + 1
                self._annotations.append(annotation(number, len(self._images), structure.index, mask))

    def finish(self) -> None:
        """Write `annotations.json`."""
        body = {
            "info": {"description": self._title, "version": "1.0", "contributor": f"uniultra {__version__}"},
            "licenses": [],
            "categories": [
                {"id": s.index, "name": s.name, "supercategory": "", "color": list(s.colour)}
                for s in self._structures
            ],
            "images": self._images,
            "annotations": self._annotations,
        }
        (self._folder / "annotations.json").write_text(json.dumps(body) + "\n", encoding="utf-8")


def annotation(number: int, image: int, category: int, mask: Mask) -> dict[str, Any]:
    """One annotation of a non-empty mask `(H,W)`; its box is `[x, y, width, height]` in pixels."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "iscrowd": 0,
        "area": int(mask.sum()),
        "bbox": [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1],
        "segmentation": run_lengths(mask),
    }


def run_lengths(mask: Mask) -> dict[str, list[int]]:
    """A mask `(H,W)` as COCO's uncompressed run lengths: down the columns, background first."""
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(edges, prepend=0, append=flat.size).tolist()
    return {"counts": [0, *counts] if flat[0] else counts, "size": [int(n) for n in mask.shape]}


def write_png(path: Path, pixels: Picture | Mask) -> None:
    """Write a PNG without any metadata."""
    Image.fromarray(pixels).save(path, "PNG")


def write_indexed(path: Path, values: NDArray[np.uint8], structures: Sequence[LabelStructure]) -> None:
    """Write a palette PNG whose pixels are the values, in the colours of the structures."""
    palette = np.zeros((256, 3), np.uint8)
    for structure in structures:
        palette[structure.index] = structure.colour
    picture = Image.fromarray(values, "L")
    picture.putpalette(palette.tobytes())
    picture.save(path, "PNG")


def _parts(mask: Mask) -> Iterable[Mask]:
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    return (labels == n for n in range(1, count + 1))
