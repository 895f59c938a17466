"""From a campaign's trainable labels to pictures with masks; what is damaged is left out and named."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from uniultra.adapt.pictures import Labelled
from uniultra.datasets.manifest import Row, load_pair
from uniultra.errors import ImageError
from uniultra.images import AxisKind, UltrasoundImage, read_image
from uniultra.images.types import Plane
from uniultra.store.labels.labelmap import LabelMap, read_labelmap
from uniultra.store.types import TrainingLabel

log = logging.getLogger(__name__)
Thing = TypeVar("Thing")
SLICES = 8  # of a volume or of a cine that is labelled throughout, evenly taken


@dataclass(frozen=True)
class LeftOut:
    """A label that is not trained on, and why."""

    image: str
    revision: int
    reason: str


@dataclass(frozen=True, eq=False)
class Pictures:
    """What could be read of a campaign's labels.

    Attributes:
        labelled: in the order of the labels.
        label: for each, which label it is of, `image@revision`.
        frame: for each, which frame of the image it is; 0 of a still.
        left_out: labels that cannot be trained on.
    """

    labelled: tuple[Labelled, ...]
    label: tuple[str, ...]
    frame: tuple[int, ...]
    left_out: tuple[LeftOut, ...]


def read_labels(studies: Path, labels: Sequence[TrainingLabel], most: int | None = None) -> Pictures:
    """The pictures and masks of labels; a label whose file is not the one that was saved is left out.

    Args:
        studies: the folder.
        labels: in the order of what is read.
        most: pictures in all at most, of labels evenly taken, of each about as many; None for SLICES of each
            label. A picture with several structures counts once.
    """
    labels = labels if most is None else _evenly(labels, most)
    taken = 0
    labelled: list[Labelled] = []
    names: list[str] = []
    frames: list[int] = []
    left_out: list[LeftOut] = []
    for n, label in enumerate(labels):
        share = SLICES if most is None else min(SLICES, (most - taken) // (len(labels) - n))
        try:
            found = list(_read(studies, label, share))
        except ImageError as error:
            log.warning("a label is left out of the training: %s", error)
            left_out.append(LeftOut(label.image, label.revision, str(error)))
            continue
        taken += len({frame for frame, _ in found})
        labelled += [one for _, one in found]
        names += [f"{label.image}@{label.revision}"] * len(found)
        frames += [frame for frame, _ in found]
    return Pictures(tuple(labelled), tuple(names), tuple(frames), tuple(left_out))


def known_pictures(rows: Sequence[Row]) -> list[Labelled]:
    """Labelled pictures of a manifest, those with a label in them."""
    found = []
    for row in rows:
        picture, mask = load_pair(row)
        if mask.any():
            found.append(Labelled(picture, mask, row.dataset, row.group or row.id))
    return found


def _read(studies: Path, label: TrainingLabel, most: int) -> Iterator[tuple[int, Labelled]]:
    """Frame and picture, for each labelled frame and each structure on it; of so many frames at most.

    Raises:
        ImageError: image or label is missing, damaged, or they do not belong together; or the label has
            values, and none of them is a structure's.
    """
    source, file = label.paths(studies)
    if _sha256(file) != label.sha256:
        raise ImageError(
            "Expected the label as it was saved; its file has another SHA-256. Restore it from a backup, or "
            "label the image again."
        )
    image = read_image(source)
    values = read_labelmap(file, image)
    if values.any() and not np.isin(values, list(label.names)).any():
        raise ImageError(
            "Expected a label with the values of its structures; it has none of them, but others. Label the "
            "image again."
        )
    for frame in _frames(label, image, values, most):
        picture = image.picture(Plane("k", frame))
        for value, name in sorted(label.names.items()):
            yield frame, Labelled(picture, values[frame] == value, name, label.group)


def _frames(label: TrainingLabel, image: UltrasoundImage, values: LabelMap, most: int) -> list[int]:
    """The labelled frames, at most so many: of many, those with a structure, evenly taken."""
    if label.frames is None and (image.axis_kind is AxisKind.STILL or len(values) == 1):
        return [0]
    marks = values.reshape(len(values), -1).any(1)
    if label.frames is None:
        return _evenly(np.flatnonzero(marks).tolist() or [len(values) // 2], most)
    frames = [frame for frame in label.frames if frame < len(values)]
    marked = _evenly([frame for frame in frames if marks[frame]], most)
    # A frame that is done and has no mark says that nothing is there; it is taken where there is room.
    return sorted(marked + _evenly([frame for frame in frames if not marks[frame]], most - len(marked)))


def _evenly(things: Sequence[Thing], most: int) -> list[Thing]:
    """All, or so many from the first to the last; of one alone, the middle."""
    if len(things) <= most:
        return list(things)
    if most == 1:
        return [things[len(things) // 2]]
    return [things[n] for n in np.linspace(0, len(things) - 1, most).round().astype(int)]


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        raise ImageError("Expected the label's file; it cannot be read. Label the image again.") from None
