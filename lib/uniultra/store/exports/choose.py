"""Selects the labels and structures of an export."""

from __future__ import annotations

from uniultra.store.campaign.file import COLORS
from uniultra.store.exports.labelled import LabelStructure
from uniultra.store.newest_frames import newest_frames
from uniultra.store.review.trainable import training_labels
from uniultra.store.store import LabelStore
from uniultra.store.types import TrainingLabel

_NOT_WORK = ("original", "consensus")  # proposed by a model, or computed from the readers' labels


def structures(store: LabelStore, labels: list[TrainingLabel]) -> tuple[LabelStructure, ...]:
    """The structures of the campaign; if it has none, the names in these labels."""
    configured = store.campaign.labels
    if configured:
        return tuple(LabelStructure(label.name, label.index, _rgb(label.color)) for label in configured)
    indices: dict[str, int] = {}
    for label in labels:
        for index, name in sorted(label.names.items()):
            used = indices.values()
            indices.setdefault(name, index if index not in used else max(used) + 1)
    colours = (_rgb(COLORS[n % len(COLORS)]) for n in range(len(indices)))
    return tuple(LabelStructure(*pair, colour) for pair, colour in zip(indices.items(), colours, strict=True))


def everything(store: LabelStore) -> list[TrainingLabel]:
    """Each person's newest label of each frame, including drafts and returned ones, by image and revision."""
    store.ready()
    present = set(store.images.listed())
    versions = [v for v in store.versions() if v.tag not in _NOT_WORK and v.image in present]
    newest = newest_frames(((v.image, v.annotator), v, v.frames) for v in reversed(versions))
    return training_labels(store.context, newest)


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue
