"""Which labels go out, as the campaign has them."""

from __future__ import annotations

from uniultra.store.campaign.file import COLORS
from uniultra.store.exports.labelled import Structure
from uniultra.store.newest_frames import newest_frames
from uniultra.store.review.trainable import training_labels
from uniultra.store.store import LabelStore
from uniultra.store.types import TrainingLabel

_NOT_WORK = ("original", "consensus")  # made by a model, or of the readers' own labels


def structures(store: LabelStore, labels: list[TrainingLabel]) -> tuple[Structure, ...]:
    """What the campaign labels; without a schema, what these labels name."""
    named = store.campaign.labels
    if named:
        return tuple(Structure(label.name, label.index, _rgb(label.color)) for label in named)
    found: dict[str, int] = {}
    for label in labels:
        for index, name in sorted(label.names.items()):
            found.setdefault(name, index if index not in found.values() else max(found.values()) + 1)
    return tuple(Structure(name, index, _spread(n)) for n, (name, index) in enumerate(found.items()))


def everything(store: LabelStore) -> list[TrainingLabel]:
    """Each person's newest label of each frame, drafts and returned ones too, by image and revision."""
    store.ready()
    present = set(store.images.listed())
    versions = [v for v in store.versions() if v.tag not in _NOT_WORK and v.image in present]
    newest = newest_frames(((v.image, v.annotator), v, v.frames) for v in reversed(versions))
    return training_labels(store.context, newest)


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue


def _spread(number: int) -> tuple[int, int, int]:
    return _rgb(COLORS[number % len(COLORS)])
