"""A label opened beside its image, its values those that the campaign has now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from uniultra.errors import ImageError
from uniultra.files.checksummed import sha256
from uniultra.images import read_image
from uniultra.images.types import AxisKind, Picture, Plane, UltrasoundImage
from uniultra.store.labels.labelmap import LabelMap, read_labelmap
from uniultra.store.types import TrainingLabel


@dataclass(frozen=True)
class Structure:
    """What is labelled: its name, its value in a label map and its colour, 0 to 255 each of RGB."""

    name: str
    index: int
    colour: tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An image with its label.

    Attributes:
        label: which version it is.
        path: of the image.
        image: opened.
        values: `(T,H,W)` uint8, the index of a structure or 0.
        frames: those that are labelled, ascending; in the others nobody has said anything.
        known: names of the structures that this label speaks of, whether they are in the image or not.
        name: for its files: the image's id, and the revision where labels of several people go out.
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
        """What tells this label from the image's others; empty where there are none."""
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
    structures: Sequence[Structure],
    kinds: Mapping[str, str] | None = None,
) -> LabelledImage:
    """Open an image and the version of its label.

    Args:
        studies: the studies folder.
        label: of a version.
        structures: what the campaign labels now; another name counts as background.
        kinds: axis kind of images by id, where it is not what the file suggests.

    Raises:
        ImageError: one of both is gone, damaged or has changed since, or they do not fit each other, or the
            label speaks of nothing that the campaign labels.
    """
    path, file = label.paths(studies)
    image = read_image(path, axis_kind=(kinds or {}).get(label.image))
    try:
        digest = sha256(file)
    except OSError:
        raise ImageError("Expected the label's file; it is gone or cannot be read.") from None
    if digest != label.sha256:
        raise ImageError("Expected the label as it was saved; its file has changed since. Restore a backup.")
    indices = {structure.name: structure.index for structure in structures}
    table = np.zeros(256, np.uint8)
    for value, name in label.names.items():
        table[value] = indices.get(name, 0)
    values = table[read_labelmap(file, image)]
    frames = _frames(label, image)
    known = frozenset(name for name in label.names.values() if name in indices)
    if not known:
        raise ImageError(
            "Expected a label of a structure that campaign.yaml names; this one has other names. "
            "Give the structure its old name back there."
        )
    return LabelledImage(label, path, image, values, frames, known, label.image)


def together(labels: Sequence[LabelledImage]) -> list[LabelledImage]:
    """Labels of one image as they go out: one where they are of different frames, else each with its name."""
    frames = [frame for one in labels for frame in one.frames]
    if len(labels) < 2:
        return list(labels)
    if len(set(frames)) < len(frames):
        return [replace(one, name=f"{one.name}__r{one.label.revision}") for one in labels]
    values = np.zeros_like(labels[0].values)
    for one in labels:
        values[list(one.frames)] = one.values[list(one.frames)]
    known = frozenset.intersection(*(one.known for one in labels))
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
    """File names that differ by more than case, one for each thing that is written."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def take(self, wanted: str) -> str:
        """`wanted`, or the next like it that is free."""
        name, n = wanted, 2
        while name.casefold() in self._used:
            name, n = f"{wanted}__{n}", n + 1
        self._used.add(name.casefold())
        return name


def frame_name(image: str, frame: int, count: int) -> str:
    """The name of one frame's picture; the only frame of a still has the image's own."""
    return image if count == 1 else f"{image}__f{frame:04}"
