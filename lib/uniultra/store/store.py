"""The label store: every version of every label, who has which work, what may be trained on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from uniultra.store import quarantine, queries
from uniultra.store.campaign.file import Campaign
from uniultra.store.campaign.folder_identity import Identity
from uniultra.store.context import Context
from uniultra.store.errors import NotFoundError
from uniultra.store.labels import hand_placed
from uniultra.store.labels.saving import Draft, Saving
from uniultra.store.opening.opening import Opening
from uniultra.store.paths import mask_path
from uniultra.store.review import reviewing
from uniultra.store.review.agreement import Agreement, agreement
from uniultra.store.review.readings import Reading, readings
from uniultra.store.review.trainable import Trainable
from uniultra.store.types import LabelVersion, Lease, Origin, Review, Revision, State, TrainingLabel, Unit
from uniultra.store.work.leases import Leases
from uniultra.store.work.units import Units, WorkList, work_list


def _utc() -> datetime:
    return datetime.now(UTC)


class LabelStore:
    """The labels of one studies folder.

    Thread safe; several processes may share the folder. Constructing reads and writes nothing: the first
    question opens the index, and recovers what a crash left. The parts that answer hold the `context`, never
    the store; every question opens the index before it is passed on to them.

    Args:
        studies: the folder.
        url: of a PostgreSQL database for the index, in SQLAlchemy's form; None for a file in the folder.
        now: the clock.
    """

    def __init__(self, studies: Path, url: str | None = None, *, now: Callable[[], datetime] = _utc) -> None:
        self.context = context = Context(
            studies, url, now, lambda: hand_placed.adopt(self.context, self._saving)
        )
        self.studies, self.private, self.now = studies, context.private, now
        self.lock, self.index, self.events, self.images = (
            context.lock,
            context.index,
            context.events,
            context.images,
        )
        self._units, self._leases = Units(context), Leases(context)
        self._saving = Saving(context, self._leases)
        self._trainable = Trainable(context, self._saving)
        self._opening = Opening(context, self._saving)

    # the folder

    def ready(self) -> None:
        """Open the index if it is not, and recover; every question begins with this.

        Raises:
            StoreError: the database or the folder cannot be used.
        """
        self._opening.ready()

    def rebuild(self) -> None:
        """Put the index aside and build it again from the files."""
        self._opening.rebuild()

    @property
    def identity(self) -> Identity:
        """The folder's id, salt and name; made when it is first needed.

        Raises:
            StoreError: it is damaged.
        """
        return self.context.identity

    def describe(self, **changes: str) -> None:
        """Change the name or the description of the folder."""
        self.context.describe(**changes)

    @property
    def campaign(self) -> Campaign:
        """The campaign file as it is now.

        Raises:
            CampaignError: it cannot be used.
        """
        return self.context.campaign

    def problems(self) -> list[quarantine.Problem]:
        """What was quarantined because it cannot be trusted."""
        return quarantine.problems(self.private)

    # versions

    def save(
        self,
        image: str,
        file: Path,
        *,
        tag: str = "final",
        annotator: str = "",
        base: int | None = None,
        frames: Iterable[int] | None = None,
        origin: Origin | None = None,
        info: Mapping[str, Any] | None = None,
        labels: Mapping[str, int] | None = None,
        made: datetime | None = None,
    ) -> LabelVersion:
        """Keep a label file as a new version; it is on the disk when this returns.

        Args:
            image: id of the image.
            file: of a lossless format; it is copied.
            base: the revision it was made from; None if that is not known.
            frames: of a cine, those that are done; None for those with something in them.
            labels: index of each name; None for the campaign's.
            made: when it was made, if not now.

        Raises:
            NotFoundError: no such image.
            ConflictError: the history has a newer revision than `base`.
            RequestError: a bad tag, frame or file.
            StoreError, OSError: it cannot be kept now.
        """
        self.ready()
        done = None if frames is None else tuple(frames)
        origin, names = origin or Origin(), None if labels is None else dict(labels)
        draft = Draft(image, file, tag, annotator, base, done, origin, dict(info or {}), names, made)
        return self._saving.save(draft)

    def versions(self, image: str | None = None) -> list[LabelVersion]:
        """All versions, of one image or of all, by image and revision; without labels that were removed."""
        self.ready()
        return queries.versions(self.context, image)

    def version(self, image: str, revision: int) -> LabelVersion:
        """One version.

        Raises:
            NotFoundError: there is none of that number.
        """
        self.ready()
        return queries.version(self.context, image, revision)

    def current(self, images: Iterable[str] | None = None) -> dict[tuple[str, str], LabelVersion]:
        """The newest version of each image and tag."""
        self.ready()
        return queries.current(self.context, images)

    def state(self, version: LabelVersion) -> State:
        """What the newest review says of a version, or what its tag does.

        Raises:
            NotFoundError: no such version.
        """
        found = self.states(version.image).get((version.image, version.revision))
        if found is None:
            raise NotFoundError("This image has no label of that revision.")
        return found

    def states(self, image: str | None = None) -> dict[tuple[str, int], State]:
        """The state of every version, by image and revision."""
        self.ready()
        return queries.states(self.context, image)

    def path(self, version: LabelVersion) -> Path:
        """The file of a version's mask."""
        return mask_path(self.studies, version)

    def verified(self, version: LabelVersion) -> Path:
        """The file of a version's mask, after its checksum was compared.

        Raises:
            NotFoundError: it is damaged, and was put aside.
        """
        return self._saving.verified(version)

    def review(self, image: str, revision: int, state: str, reviewer: str, comment: str = "") -> Review:
        """Keep what a reviewer says of a version: `final`, `returned`, `approved` or `flagged`.

        Raises:
            NotFoundError: no such version.
            RequestError: another state.
        """
        self.ready()
        return self._saving.review(image, revision, state, reviewer, comment)

    def reviews(self, image: str, revision: int | None = None) -> list[Review]:
        """The reviews of an image's versions, in order."""
        self.ready()
        return queries.reviews(self.context, image, revision)

    def review_counts(self) -> dict[State, int]:
        """How many of each annotator's newest final labels are in each state."""
        self.ready()
        return reviewing.counts(self.context)

    def to_review(
        self, states: Collection[str], *, limit: int = 100, offset: int = 0
    ) -> list[reviewing.Listed]:
        """Each annotator's newest final label of each image in any of `states`, by image and annotator.

        At most `limit` of them, without the first `offset`.
        """
        self.ready()
        return reviewing.listed(self.context, states, limit=limit, offset=offset)

    def remove(self, image: str, tag: str) -> None:
        """Hide a label of an image: its versions stay on the disk, but count no more.

        A file that a person saved over the copy in `labels/` is made a version first.

        Raises:
            NotFoundError: no such label.
        """
        self.ready()
        hand_placed.adopt(self.context, self._saving)
        self._saving.remove(image, tag)

    def remove_image(self, image: str) -> None:
        """Forget an image whose file was deleted, and delete its labels."""
        self.ready()
        self._saving.remove_image(image)

    def readings(self, image: str | None = None) -> dict[str, list[Reading]]:
        """By image, what each annotator's final labels say: each frame by its newest version."""
        self.ready()
        return readings(self.context, image)

    def agreement(self, image: str) -> list[Agreement]:
        """How well the readers of an image agree, for each two of them and each structure."""
        self.ready()
        return agreement(self.context, self._saving, image)

    def trainable(self) -> list[TrainingLabel]:
        """What the campaign calls trainable now, by image and revision; every checksum was compared."""
        self.ready()
        return self._trainable.labels()

    def trainable_revisions(self) -> set[Revision]:
        """Image and revision of what the campaign calls trainable now; no file is read or hashed."""
        self.ready()
        return self._trainable.revisions()

    # work

    def finished(self) -> set[Unit]:
        """Every frame whose newest label is final or approved; frame 0 of what is labelled as a whole."""
        self.ready()
        return self._units.finished()

    def work_list(self, connection: Connection) -> WorkList:
        """All work, leases and skips at the moment of a transaction."""
        return work_list(self.context, connection)

    def units(self) -> list[Unit]:
        """All units of the images there are, in order."""
        self.ready()
        return self._units.all()

    def unlabelled(self, annotator: str | None = None, *, wait: bool = True) -> list[Unit]:
        """Units that wait for a label and are not leased, in order; for one annotator, if one is named.

        Args:
            annotator: to whom they may be given; None for anyone.
            wait: open cines that are new, to count their frames: hundreds may have been dropped into the
                folder at once. Without, such a cine has its first frame alone until it has been counted in
                the background.
        """
        self.ready()
        return self._units.unlabelled(annotator, wait=wait)

    def claim(self, order: Iterable[Unit], annotator: str) -> Lease | None:
        """Give the first free unit of an order to an annotator; None when there is none.

        What a reviewer returned to the annotator goes first. Where nothing is free, a unit that the
        annotator holds already is given again.
        """
        self.ready()
        return self._leases.claim(order, annotator)

    def renew(self, unit: Unit, annotator: str) -> Lease:
        """Renew a lease.

        Raises:
            NotFoundError: it has ended, or never was.
        """
        self.ready()
        return self._leases.renew(unit, annotator)

    def touch(self, image: str, annotator: str) -> None:
        """Renew whatever leases the annotator has on an image, if any."""
        self.ready()
        self._leases.touch(image, annotator)

    def release(self, unit: Unit, annotator: str) -> None:
        """Give a unit back; nothing happens where it was not given."""
        self.ready()
        self._leases.release(unit, annotator)

    def skip(self, unit: Unit, annotator: str, reason: str) -> None:
        """Give a unit back and never ask this annotator for it again.

        Raises:
            NotFoundError: no such image.
            RequestError: without a reason.
        """
        self.ready()
        self._leases.skip(unit, annotator, reason)

    def leases(self) -> list[Lease]:
        """The leases that run now."""
        self.ready()
        return self._leases.running()

    def skipped(self) -> dict[Unit, dict[str, str]]:
        """Of each skipped unit the annotators who skipped it, and why."""
        self.ready()
        return queries.skipped(self.context)
