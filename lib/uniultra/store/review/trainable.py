"""Selects the labels that the campaign trains on."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from sqlalchemy import select

from uniultra.store import queries
from uniultra.store.campaign.patients import Grouping
from uniultra.store.context import Context
from uniultra.store.errors import NotFoundError
from uniultra.store.index import schema
from uniultra.store.labels.saving import Saving
from uniultra.store.newest_frames import Frames, newest_frames
from uniultra.store.paths import mask_path
from uniultra.store.review.consensus import Consensus
from uniultra.store.types import FINAL, WHOLE, LabelVersion, Revision, TrainingLabel

_GOOD = ("final", "approved")
_TO_COME = 0  # stands for the revision of a consensus that is not computed yet


class Trainable:
    """The training labels of a campaign: the newest, adjudicated, or consensus labels."""

    def __init__(self, context: Context, saving: Saving) -> None:
        self._context, self._saving = context, saving
        self._consensus = Consensus(context, saving)

    def labels(self) -> list[TrainingLabel]:
        """The labels to train on, by image and revision, after comparing every checksum.

        A damaged label is quarantined, and the one before it is selected instead.
        """
        if self._mode == "consensus":
            self._consensus.bring_up_to_date()
        while True:
            # The versions last: what is saved between the two queries counts at the next call, and its
            # image keeps the label chosen here. Only a version removed meanwhile is missing.
            selected = self._chosen()
            versions = {(v.image, v.revision): v for v in queries.versions(self._context)}
            chosen = [(versions[key], frames) for key, frames in selected if key in versions]
            try:
                for version, _ in chosen:
                    self._saving.verified(version)
                break
            except NotFoundError:
                continue  # ends: each time one version less
        present = set(self._context.images.listed())
        return training_labels(self._context, [pair for pair in chosen if pair[0].image in present])

    def revisions(self) -> set[Revision]:
        """Image and revision of the labels to train on, from the index only: no file is read or hashed.

        It serves to count new labels. Damaged labels are included; a consensus that has yet to be computed
        has revision 0.
        """
        revisions = {key for key, _ in self._chosen()}
        if self._mode == "consensus":
            revisions |= {(image, _TO_COME) for image in self._consensus.to_come()}
        present = set(self._context.images.listed())
        return {key for key in revisions if key[0] in present}

    @property
    def _mode(self) -> str:
        return self._context.campaign.trains if self._context.campaign.readers > 1 else "newest"

    def _chosen(self) -> list[tuple[Revision, Frames]]:
        if self._mode == "consensus":
            return [((v.image, v.revision), frames) for v, frames in self._consensus.stored()]
        chosen = self._newest() if self._mode == "newest" else self._approved()
        return list(newest_frames((key[0], key, frames) for key, frames in chosen))

    def _newest(self) -> Iterable[tuple[Revision, Frames]]:
        """The newest labels of each history's frames, if final or approved; newest first."""
        work = schema.work.c
        with self._context.index.reading() as connection:
            rows = connection.execute(
                select(work.image, work.revision, work.frame)
                .where(work.state.in_(_GOOD))
                .order_by(work.image, work.revision.desc())
            ).all()
        for key, of_version in groupby(rows, key=lambda row: (row.image, row.revision)):
            frames = tuple(row.frame for row in of_version)
            yield key, None if WHOLE in frames else frames

    def _approved(self) -> Iterable[tuple[Revision, Frames]]:
        """The approved labels, newest first."""
        versions, states = queries.versions(self._context), queries.states(self._context)
        for version in reversed(versions):
            key = version.image, version.revision
            if version.tag == FINAL and states.get(key) == "approved":
                yield key, version.frames


def training_labels(context: Context, chosen: Iterable[tuple[LabelVersion, Frames]]) -> list[TrainingLabel]:
    """Versions and their selected frames as labels to train on or export, by image and revision.

    Raises:
        CampaignError: the manifest of patients cannot be used.
    """
    chosen = list(chosen)
    sources = {image: record.path for image, record in context.images.records().items()}
    groups = Grouping(context.studies, context.campaign.patients, context.identity.salt).groups(
        sorted({sources[version.image] for version, _ in chosen})
    )
    labels = [
        TrainingLabel(
            image=version.image,
            revision=version.revision,
            sha256=version.sha256,
            source=sources[version.image],
            file=mask_path(context.studies, version).relative_to(context.studies).as_posix(),
            frames=frames,
            names={index: name for name, index in version.labels.items() if index},
            group=groups[sources[version.image]],
        )
        for version, frames in chosen
    ]
    return sorted(labels, key=lambda label: (label.image, label.revision))
