"""Opens labels beside their images for an export, with the values of the current campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from uniultra.errors import ImageError
from uniultra.images.types import AxisKind, Picture, Plane, UltrasoundImage
from uniultra.store.labels.labelmap import LabelMap, open_label
from uniultra.store.types import TrainingLabel


@dataclass(frozen=True)
class LabelStructure:
    """A structure: its name, its value in label maps and its RGB colour, each channel 0 to 255."""

    name: str
    index: int
    colour: tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An image with its label.

    Attributes:
        label: the version.
        path: of the image.
        image: opened.
        values: `(T,H,W)` uint8, the index of a structure, or 0 for background.
        frames: labelled frames, ascending; the others are unlabelled, not empty.
        known: names of the structures that were annotated, whether they are visible in the image or not.
        name: stem of its files: the image's id, with the revision if several annotators' labels are exported.
    """

    label: TrainingLabel
    path: Path
    image: UltrasoundImage
    values: LabelMap
    frames: tuple[int, ...]
    known: frozenset[str]
    name: str

    @property
    def marking(self) -> str:
        """Suffix that distinguishes this label from the image's others; empty if it is the only one."""
        return self.name.removeprefix(self.label.image)

    def pictures(self) -> list[Picture]:
        """The labelled frames, each `(H,W)` or `(H,W,3)` uint8.

        Raises:
            ImageError: one of them cannot be decoded.
        """
        return [self.image.picture(Plane("k", frame)) for frame in self.frames]


def open_labelled(
    studies: Path,
    label: TrainingLabel,
    structures: Sequence[LabelStructure],
    kinds: Mapping[str, str] | None = None,
) -> LabelledImage:
    """Open an image and a version of its label.

    Args:
        studies: the studies folder.
        label: the version.
        structures: of the current campaign; a value of any other name becomes background.
        kinds: axis kind of images by id, where it is not what the file suggests.

    Raises:
        ImageError: see `open_label`; or the label has none of the campaign's structures.
    """
    image, stored = open_label(studies, label, (kinds or {}).get(label.image))
    indices = {structure.name: structure.index for structure in structures}
    table = np.zeros(256, np.uint8)
    for value, name in label.names.items():
        table[value] = indices.get(name, 0)
    known = frozenset(name for name in label.names.values() if name in indices)
    if not known:
        raise ImageError(
            "Expected a label of a structure in campaign.yaml; got other names. Restore the structure's old "
            "name there."
        )
    path, frames = label.paths(studies)[0], _frames(label, image)
    return LabelledImage(label, path, image, table[stored], frames, known, label.image)


def together(labels: Sequence[LabelledImage]) -> list[LabelledImage]:
    """Labels of one image as exported: merged if of different frames, else each under its own name."""
    frames = [frame for label in labels for frame in label.frames]
    if len(labels) < 2:
        return list(labels)
    if len(set(frames)) < len(frames):
        return [replace(each, name=f"{each.name}__r{each.label.revision}") for each in labels]
    values = np.zeros_like(labels[0].values)
    for label in labels:
        values[list(label.frames)] = label.values[list(label.frames)]
    known = frozenset.intersection(*(label.known for label in labels))
    return [replace(labels[-1], values=values, frames=tuple(sorted(frames)), known=known)]


def _frames(label: TrainingLabel, image: UltrasoundImage) -> tuple[int, ...]:
    if label.frames is None or image.axis_kind is AxisKind.STILL:
        return tuple(range(image.shape[0]))
    frames = tuple(sorted(set(label.frames)))
    if frames and frames[-1] >= image.shape[0]:
        raise ImageError(
            f"Expected frames 0 to {image.shape[0] - 1}; frame {frames[-1]} is marked done. "
            "The image has changed since it was labelled."
        )
    return frames


class Names:
    """Hands out file names that are unique, also on case-insensitive file systems."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def take(self, name: str) -> str:
        """`name`, or `name__2`, `name__3` … if it is taken."""
        free, n = name, 2
        while free.casefold() in self._used:
            free, n = f"{name}__{n}", n + 1
        self._used.add(free.casefold())
        return free


def frame_name(image: str, frame: int, count: int) -> str:
    """The stem of one frame's picture; a still has the image's own."""
    return image if count == 1 else f"{image}__f{frame:04}"
