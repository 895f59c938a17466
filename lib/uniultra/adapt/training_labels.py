"""Reads a campaign's trainable labels as pictures with masks; damaged labels are left out and reported."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from uniultra.adapt.pictures import Labelled
from uniultra.datasets.manifest import Row, load_pair
from uniultra.errors import ImageError
from uniultra.images import AxisKind, UltrasoundImage
from uniultra.images.types import Plane
from uniultra.store.labels.labelmap import LabelMap, open_label
from uniultra.store.types import TrainingLabel

log = logging.getLogger(__name__)
Item = TypeVar("Item")
SLICES = 8  # evenly spaced frames of a cine or slices of a volume, at most, per label


@dataclass(frozen=True)
class LeftOut:
    """A label excluded from the training, and the reason."""

    image: str
    revision: int
    reason: str


@dataclass(frozen=True, eq=False)
class Pictures:
    """Labelled pictures of a campaign.

    Attributes:
        labelled: pictures with the mask of one structure, in the order of the labels.
        label: of each picture, its label as `image@revision`.
        frame: of each picture, its frame or slice; 0 for a still.
        left_out: labels that could not be read.
    """

    labelled: tuple[Labelled, ...]
    label: tuple[str, ...]
    frame: tuple[int, ...]
    left_out: tuple[LeftOut, ...]


def read_labels(studies: Path, labels: Sequence[TrainingLabel], most: int | None = None) -> Pictures:
    """Read the pictures and masks of labels; a label whose file has changed since it was saved is left out.

    Args:
        studies: the studies folder.
        labels: labels to read.
        most: maximum number of pictures in all, about equally many of evenly spaced labels; None for at most
            `SLICES` of each label. A picture with several structures counts once.
    """
    labels = labels if most is None else evenly(labels, most)
    taken = 0
    labelled: list[Labelled] = []
    names: list[str] = []
    frames: list[int] = []
    left_out: list[LeftOut] = []
    for n, label in enumerate(labels):
        share = SLICES if most is None else min(SLICES, (most - taken) // (len(labels) - n))
        try:
            pictures = list(_read(studies, label, share))
        except ImageError as error:
            log.warning("a label is left out of the training: %s", error)
            left_out.append(LeftOut(label.image, label.revision, str(error)))
            continue
        taken += len({frame for frame, _ in pictures})
        labelled += [picture for _, picture in pictures]
        names += [f"{label.image}@{label.revision}"] * len(pictures)
        frames += [frame for frame, _ in pictures]
    return Pictures(tuple(labelled), tuple(names), tuple(frames), tuple(left_out))


def known_pictures(rows: Sequence[Row]) -> list[Labelled]:
    """The labelled pictures of a manifest, without those whose mask is empty."""
    pictures = []
    for row in rows:
        picture, mask = load_pair(row)
        if mask.any():
            pictures.append(Labelled(picture, mask, row.dataset, row.group or row.id))
    return pictures


def _read(studies: Path, label: TrainingLabel, most: int) -> Iterator[tuple[int, Labelled]]:
    """Frame and picture, for each structure on each labelled frame; of at most `most` frames.

    Raises:
        ImageError: image or label is missing, damaged, or they do not belong together; or the label has
            values, and none of them is a structure's.
    """
    image, values = open_label(studies, label)
    if values.any() and not np.isin(values, list(label.names)).any():
        raise ImageError(
            "Expected a label with the values of its structures; it has other values only. Label the image "
            "again."
        )
    for frame in _frames(label, image, values, most):
        picture = image.picture(Plane("k", frame))
        for value, name in sorted(label.names.items()):
            yield frame, Labelled(picture, values[frame] == value, name, label.group)


def _frames(label: TrainingLabel, image: UltrasoundImage, values: LabelMap, most: int) -> list[int]:
    """At most `most` labelled frames, evenly spaced; those with a structure come first."""
    if label.frames is None and (image.axis_kind is AxisKind.STILL or len(values) == 1):
        return [0]
    marks = values.reshape(len(values), -1).any(1)
    if label.frames is None:
        return evenly(np.flatnonzero(marks).tolist() or [len(values) // 2], most)
    frames = [frame for frame in label.frames if frame < len(values)]
    marked = evenly([frame for frame in frames if marks[frame]], most)
    # A labelled frame without marks is a true negative: it fills the places that are left.
    return sorted(marked + evenly([frame for frame in frames if not marks[frame]], most - len(marked)))


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most `most` items, evenly spaced from the first to the last; for 1, the middle one.

    >>> evenly("abcdefg", 3)
    ['a', 'd', 'g']
    """
    if len(items) <= most:
        return list(items)
    if most == 1:
        return [items[len(items) // 2]]
    return [items[n] for n in np.linspace(0, len(items) - 1, most).round().astype(int)]
