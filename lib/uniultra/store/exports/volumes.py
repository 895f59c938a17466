"""Exports label maps in the geometry of their images, for ITK-based tools."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from uniultra.images import write_mask
from uniultra.store.exports.labelled import LabelledImage, LabelStructure, Names


class VolumeFolder:
    """Writes one label map for each image, and `labels.json`.

    `labels.json` has the structures, and of each file the image, its revision and, of a cine, the frames
    that are labelled: a frame that is not named there is unknown, not empty.
    """

    def __init__(self, folder: Path, structures: Sequence[LabelStructure], title: str, ext: str) -> None:
        self._folder, self._structures, self._title, self._ext = folder, structures, title, ext
        self._names = Names()
        self._files: dict[str, Any] = {}

    def add(self, labelled: LabelledImage) -> int:
        """Write the label map of an image; returns 1.

        Raises:
            ImageError: the format cannot hold the image's orientation.
        """
        name = f"{self._names.take(labelled.name)}{self._ext}"
        write_mask(labelled.values, labelled.image, self._folder / name)
        self._files[name] = {
            "image": labelled.label.image,
            "revision": labelled.label.revision,
            "frames": None if labelled.label.frames is None else list(labelled.frames),
        }
        return 1

    def finish(self) -> None:
        """Write `labels.json`."""
        structures = [asdict(structure) for structure in self._structures]
        body = {"campaign": self._title, "structures": structures, "files": self._files}
        (self._folder / "labels.json").write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
