"""Which labels the campaign trains on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlalchemy import select

from uniultra.store.campaign.patients import Grouping
from uniultra.store.errors import NotFoundError
from uniultra.store.index import schema
from uniultra.store.labels import records
from uniultra.store.review import consensus
from uniultra.store.types import LabelVersion, TrainingLabel
from uniultra.store.work.progress import FINAL, WHOLE

if TYPE_CHECKING:
    from uniultra.store.store import LabelStore

_GOOD = ("final", "approved")
Chosen = list[tuple[LabelVersion, tuple[int, ...] | None]]


def trainable(store: LabelStore) -> list[TrainingLabel]:
    """The labels to train on, by image and revision; of a cine, each frame by its newest good version.

    A damaged label is put aside, and what stood before it counts again.
    """
    mode = store.campaign.trains if store.campaign.readers > 1 else "newest"
    if mode == "consensus":
        consensus.bring_up_to_date(store)
    while True:
        chosen = {"newest": _newest, "adjudicated": _approved, "consensus": consensus.stored}[mode](store)
        try:
            for version, _ in chosen:
                store.verified(version)
            break
        except NotFoundError:
            continue  # one less each time
    present = set(store.images.listed())
    chosen = [(version, frames) for version, frames in chosen if version.image in present]
    paths = {image: record.path for image, record in store.images.records().items()}
    group = Grouping(store.studies, store.campaign.patients, store.identity.salt).groups(
        sorted({paths[version.image] for version, _ in chosen})
    )
    found = [
        TrainingLabel(
            image=version.image,
            revision=version.revision,
            sha256=version.sha256,
            source=paths[version.image],
            file=records.mask_path(store.studies, version).relative_to(store.studies).as_posix(),
            frames=frames,
            names={index: name for name, index in version.labels.items() if index},
            group=group[paths[version.image]],
        )
        for version, frames in chosen
    ]
    return sorted(found, key=lambda label: (label.image, label.revision))


def _newest(store: LabelStore) -> Chosen:
    """The newest version of each frame whose line ends with a good one."""
    work = schema.work.c
    with store.index.reading() as connection:
        rows = connection.execute(
            select(work.image, work.frame, work.revision)
            .where(work.state.in_(_GOOD))
            .order_by(work.image, work.revision.desc())
        ).all()
    return _by_version(store, ((row.image, row.frame, row.revision) for row in rows))


def _approved(store: LabelStore) -> Chosen:
    """The newest approved version of each frame."""
    found = []
    states = store.states()
    for version in reversed(store.versions()):
        if version.tag == FINAL and states[version.image, version.revision] == "approved":
            frames = (WHOLE,) if version.frames is None else version.frames
            found += [(version.image, frame, version.revision) for frame in frames]
    return _by_version(store, found)


def _by_version(store: LabelStore, rows: Iterable[tuple[str, int, int]]) -> Chosen:
    """Frames of images, newest revision first, as the versions that give them."""
    taken: set[tuple[str, int]] = set()
    frames: dict[tuple[str, int], list[int]] = {}
    for image, frame, revision in rows:
        if (image, frame) in taken or (image, WHOLE) in taken:
            continue
        taken.add((image, frame))
        frames.setdefault((image, revision), []).append(frame)
    versions = {(version.image, version.revision): version for version in store.versions()}
    return [
        (versions[key], None if WHOLE in found else tuple(sorted(found)))
        for key, found in frames.items()
        if key in versions  # somebody may have removed it between the two questions
    ]
