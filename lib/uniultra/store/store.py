"""The label store: every version of every label, who has which work, what may be trained on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from uniultra.files.lock import WriteLock
from uniultra.images import is_ultrasound_file
from uniultra.store.campaign import file as campaign
from uniultra.store.campaign import folder_identity as identity
from uniultra.store.catalogue.ids import is_text
from uniultra.store.catalogue.images import Images
from uniultra.store.catalogue.scan import PRIVATE, Scanner
from uniultra.store.errors import CampaignError, NotFoundError
from uniultra.store.index import schema
from uniultra.store.index.database import Index
from uniultra.store.index.events import Events
from uniultra.store.index.journal import Journal
from uniultra.store.index.opening import Opening
from uniultra.store.labels import hand_placed, published_copies, quarantine
from uniultra.store.labels.records import mask_path
from uniultra.store.labels.saving import Draft, Saving
from uniultra.store.review import trainable
from uniultra.store.review.agreement import Agreement, agreement
from uniultra.store.types import MAX_INDEX, LabelVersion, Lease, Origin, Review, State, TrainingLabel, Unit
from uniultra.store.work import progress
from uniultra.store.work.leases import Leases
from uniultra.store.work.units import Board, Units

logger = logging.getLogger(__name__)


def _utc() -> datetime:
    return datetime.now(UTC)


class LabelStore:
    """The labels of one studies folder.

    Thread safe; several processes may share the folder. Constructing reads and writes nothing: the first
    question opens the index, and recovers what a crash left.

    Args:
        studies: the folder.
        url: of a PostgreSQL database for the index, in SQLAlchemy's form; None for a file in the folder.
        now: the clock.
    """

    def __init__(self, studies: Path, url: str | None = None, *, now: Callable[[], datetime] = _utc) -> None:
        self.studies, self.private = studies, studies / PRIVATE
        self.now = now
        self.lock = WriteLock(self.private / "store.lock")
        self.index = Index(self.private, url, lambda: f"uniultra_{self.identity.id[:16]}")
        self.events = Events(Journal(self.private), self.index, self.lock, self._recount)
        scanner = Scanner(studies, is_ultrasound_file)
        self.images = Images(
            studies, self.index, self.events, self.lock, scanner, lambda: hand_placed.adopt(self)
        )
        self._opening, self._saving = Opening(self), Saving(self)
        self._units, self._leases = Units(self), Leases(self)
        self._identity: identity.Identity | None = None
        self._campaign: tuple[int, campaign.Campaign] | None = None

    # the folder

    def ready(self) -> None:
        """Open the index if it is not, and recover; every question begins with this.

        Raises:
            StoreError: the database or the folder cannot be used.
        """
        self._opening.ready()

    def _recount(self, connection: Connection, images: Iterable[str]) -> None:
        progress.recount(connection, images, one_line=self.one_line)

    def rebuild(self) -> None:
        """Put the index aside and build it again from the files."""
        self._opening.rebuild()

    @property
    def identity(self) -> identity.Identity:
        """The folder's id, salt and name; made when it is first needed.

        Raises:
            StoreError: it is damaged.
        """
        if self._identity is None:
            with self.lock:
                self._identity = identity.read(self.private) or identity.write(self.private, identity.new())
        return self._identity

    def describe(self, **changes: str) -> None:
        """Change the name or the description of the folder."""
        with self.lock:
            known = self.identity.model_copy(update=changes)
            self._identity = identity.write(self.private, known)

    @property
    def campaign(self) -> campaign.Campaign:
        """The campaign file as it is now.

        Raises:
            CampaignError: it cannot be used.
        """
        try:
            age = (self.studies / campaign.FILE).stat().st_mtime_ns
        except OSError:
            age = -1
        if self._campaign is None or self._campaign[0] != age:
            try:
                self._campaign = (age, campaign.load(self.studies))
            except CampaignError:
                if self._campaign is None:
                    raise
                logger.warning("campaign.yaml cannot be used as it is now; what it said before holds.")
                self._campaign = (age, self._campaign[1])
        return self._campaign[1]

    @property
    def one_line(self) -> bool:
        """Whether an image has one line of versions over all its annotators."""
        return self.campaign.readers == 1

    def problems(self) -> list[quarantine.Problem]:
        """What was put aside because it cannot be trusted."""
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
            ConflictError: a newer revision than `base` stands on that line.
            RequestError: a bad tag, frame or file.
            StoreError, OSError: it cannot be kept now.
        """
        self.ready()
        draft = Draft(
            image=image,
            file=file,
            tag=tag,
            annotator=annotator,
            base=base,
            frames=None if frames is None else tuple(frames),
            origin=origin or Origin(),
            info=dict(info or {}),
            labels=None if labels is None else dict(labels),
            made=made,
        )
        return self._saving.save(draft)

    def versions(self, image: str | None = None) -> list[LabelVersion]:
        """All versions, of one image or of all, by image and revision; without labels that were removed."""
        self.ready()
        table = schema.versions.c
        query = select(table.record).where(table.hidden.is_(False)).order_by(table.image, table.revision)
        if image is not None:
            query = query.where(table.image == image)
        with self.index.reading() as connection:
            found = connection.execute(query).scalars().all()
        return [LabelVersion.model_validate_json(record) for record in found]

    def version(self, image: str, revision: int) -> LabelVersion:
        """One version.

        Raises:
            NotFoundError: there is none of that number.
        """
        self.ready()
        table = schema.versions.c
        query = select(table.record).where(table.image == image, table.revision == revision)
        found = None
        if 0 < revision <= MAX_INDEX and is_text(image):
            with self.index.reading() as connection:
                found = connection.execute(query.where(table.hidden.is_(False))).scalar()
        if found is None:
            raise NotFoundError(
                "This image has no label of that revision. Ask GET /labels/{image} for those there are."
            )
        return LabelVersion.model_validate_json(found)

    def current(self, images: Iterable[str] | None = None) -> dict[tuple[str, str], LabelVersion]:
        """The newest version of each image and tag."""
        self.ready()
        with self.index.reading() as connection:
            return published_copies.current(connection, images)

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
        table = schema.versions.c
        query = select(table.image, table.revision, table.state)
        if image is not None:
            query = query.where(table.image == image)
        with self.index.reading() as connection:
            return {(row.image, row.revision): row.state for row in connection.execute(query)}

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
        table = schema.reviews.c
        query = select(table.record).where(table.image == image).order_by(table.revision, table.number)
        if revision is not None:
            query = query.where(table.revision == revision)
        with self.index.reading() as connection:
            found = connection.execute(query).scalars().all()
        return [Review.model_validate_json(record) for record in found]

    def remove(self, image: str, tag: str) -> None:
        """Take a label of an image out of sight: its versions stay on the disk, but count no more.

        What somebody saved over the copy in `labels/` is made a version first.

        Raises:
            NotFoundError: no such label.
        """
        self.ready()
        hand_placed.adopt(self)
        self._saving.remove(image, tag)

    def remove_image(self, image: str) -> None:
        """Forget an image whose file was deleted, and delete its labels."""
        self.ready()
        self._saving.remove_image(image)

    def agreement(self, image: str) -> list[Agreement]:
        """How well the readers of an image agree, for each two of them and each structure."""
        return agreement(self, image)

    def trainable(self) -> list[TrainingLabel]:
        """What the campaign calls trainable now, by image and revision; every checksum was compared."""
        self.ready()
        return trainable.trainable(self)

    # work

    def finished(self) -> set[Unit]:
        """Every frame whose newest label is final or approved; frame 0 of what is labelled as a whole."""
        self.ready()
        return self._units.finished()

    def frames_of(self, images: Iterable[str], paths: Mapping[str, Path] | None = None) -> dict[str, int]:
        """How many frames each image has, if it is a cine; 1 for all others. Files opened once are known."""
        return self._units.frames(images, paths)

    def board(self, connection: Connection) -> Board:
        """All work, leases and skips at this moment."""
        return self._units.board(connection)

    def units(self) -> list[Unit]:
        """All units of the images there are, in order."""
        self.ready()
        return self._units.all()

    def unlabelled(self, annotator: str | None = None) -> list[Unit]:
        """Units that wait for a label and are not given out, in order; for one annotator, if one is named."""
        self.ready()
        return self._units.unlabelled(annotator)

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
        """Who skipped what, and why."""
        self.ready()
        table = schema.skips.c
        with self.index.reading() as connection:
            found: dict[Unit, dict[str, str]] = {}
            for row in connection.execute(select(table.image, table.frame, table.annotator, table.reason)):
                found.setdefault(Unit(row.image, row.frame), {})[row.annotator] = row.reason
        return found
