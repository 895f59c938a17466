"""Which labels go out, as the campaign has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uniultra.store.campaign.patients import Grouping
from uniultra.store.exports.labelled import Structure
from uniultra.store.labels.records import mask_path
from uniultra.store.types import LabelVersion, TrainingLabel

if TYPE_CHECKING:
    from uniultra.store.store import LabelStore

_NOT_WORK = ("original", "consensus")  # made by a model, or of the readers' own labels


def structures(store: LabelStore, labels: list[TrainingLabel]) -> tuple[Structure, ...]:
    """What the campaign labels; without a schema, what these labels name."""
    named = store.campaign.labels
    if named:
        return tuple(Structure(one.name, one.index, _rgb(one.color)) for one in named)
    found: dict[str, int] = {}
    for label in labels:
        for index, name in sorted(label.names.items()):
            found.setdefault(name, index if index not in found.values() else max(found.values()) + 1)
    return tuple(Structure(name, index, _spread(n)) for n, (name, index) in enumerate(found.items()))


def everything(store: LabelStore) -> list[TrainingLabel]:
    """Each person's newest label of each frame, drafts and returned ones too, by image and revision."""
    store.ready()
    present = set(store.images.listed())
    sources = {image: record.path for image, record in store.images.records().items()}
    groups = Grouping(store.studies, store.campaign.patients, store.identity.salt).groups(
        sorted(sources[image] for image in present)
    )
    taken: set[tuple[str, str, int | None]] = set()
    found = []
    for version in reversed(store.versions()):
        if version.tag in _NOT_WORK or version.image not in present:
            continue
        frames = _left(version, taken)
        if frames == ():
            continue
        found.append(
            TrainingLabel(
                image=version.image,
                revision=version.revision,
                sha256=version.sha256,
                source=sources[version.image],
                file=mask_path(store.studies, version).relative_to(store.studies).as_posix(),
                frames=frames,
                names={index: name for name, index in version.labels.items() if index},
                group=groups[sources[version.image]],
            )
        )
    return sorted(found, key=lambda label: (label.image, label.revision))


def _left(version: LabelVersion, taken: set[tuple[str, str, int | None]]) -> tuple[int, ...] | None:
    """The frames of a version that no newer one of the same person has; None for the whole image."""
    line = (version.image, version.annotator)
    if (*line, None) in taken:
        return ()
    if version.frames is None:
        taken.add((*line, None))
        return None
    left = tuple(frame for frame in version.frames if (*line, frame) not in taken)
    taken.update((*line, frame) for frame in left)
    return left


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue


def _spread(number: int) -> tuple[int, int, int]:
    from uniultra.store.campaign.file import COLORS

    return _rgb(COLORS[number % len(COLORS)])
