"""The label store: versions of labels, reviews, work and leases, training labels of a studies folder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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
from uniultra.store.work.units import Units


def _utc() -> datetime:
    return datetime.now(UTC)


class LabelStore:
    """The labels of one studies folder.

    Thread safe; several processes may share the folder. Constructing reads and writes nothing: the first call
    opens the index and recovers from a crash, if there was one. This class opens the index before every call;
    the parts behind it hold the `context`, never the store.

    Args:
        studies: the folder.
        url: SQLAlchemy URL of a PostgreSQL database for the index. Default: an SQLite file in the folder; set
            it if many processes share the folder over a network.
        now: clock.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = tempfile.TemporaryDirectory()
        >>> studies = Path(folder.name) / "studies"
        >>> studies.mkdir()
        >>> Image.new("L", (8, 6), 90).save(studies / "scan.png")
        >>> _ = (studies / "campaign.yaml").write_text("readers: 2")
        >>> Image.new("L", (8, 6), 1).save(Path(folder.name) / "mask.png")
        >>> store = LabelStore(studies)
        >>> for name in ("ann", "ben"):
        ...     _ = store.save("scan", Path(folder.name) / "mask.png", annotator=name)
        >>> [(version.revision, version.annotator) for version in store.versions("scan")]
        [(1, 'ann'), (2, 'ben')]
        >>> [(pair.annotators, pair.label, pair.dice) for pair in store.agreement("scan")]
        [(('ann', 'ben'), 'structure', 1.0)]
        >>> store.index.close()
        >>> folder.cleanup()
    """

    def __init__(self, studies: Path, url: str | None = None, *, now: Callable[[], datetime] = _utc) -> None:
        self.context = context = Context(
            studies, url, now, lambda: hand_placed.adopt(self.context, self._saving)
        )
        self.studies, self.private, self.now = studies, context.private, now
        self.lock, self.index = context.lock, context.index
        self.events, self.images = context.events, context.images
        self._units, self._leases = Units(context), Leases(context)
        self._saving = Saving(context, self._leases)
        self._trainable = Trainable(context, self._saving)
        self._opening = Opening(context, self._saving)

    # the folder

    def ready(self) -> None:
        """Open and recover the index if necessary; every other call begins with this.

        Raises:
            StoreError: the database or the folder cannot be used.
        """
        self._opening.ready()

    def rebuild(self) -> None:
        """Set the index aside and rebuild it from the files."""
        self._opening.rebuild()

    @property
    def identity(self) -> Identity:
        """The folder's id, salt and name; created on first use.

        Raises:
            StoreError: its file is damaged.
        """
        return self.context.identity

    def describe(self, **changes: str) -> None:
        """Change the name or the description of the folder."""
        self.context.describe(**changes)

    @property
    def campaign(self) -> Campaign:
        """The current campaign file.

        Raises:
            CampaignError: it is invalid.
        """
        return self.context.campaign

    def problems(self) -> list[quarantine.Problem]:
        """Quarantined files, with the reasons."""
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
        """Save a label file as a new version; it is durable when this returns.

        Args:
            image: id of the image.
            file: in a lossless format; it is copied.
            tag: `final`, `draft`, or another word.
            annotator: who made it; empty if unknown.
            base: revision it was made from; None if unknown, which turns off the check for conflicts.
            frames: labelled frames of a cine; None for those with marks.
            origin: provenance; None for a label drawn by hand.
            info: further data. An `idempotency_key` in it makes a repeated save return the first version.
            labels: index of each structure's name; None for the campaign's.
            made: time of creation; None for now.

        Raises:
            NotFoundError: no such image.
            ConflictError: the history has a newer revision than `base`.
            RequestError: a bad tag, frame or file.
            StoreError, OSError: it cannot be saved now.
        """
        self.ready()
        done = None if frames is None else tuple(frames)
        origin, names = origin or Origin(), None if labels is None else dict(labels)
        draft = Draft(image, file, tag, annotator, base, done, origin, dict(info or {}), names, made)
        return self._saving.save(draft)

    def versions(self, image: str | None = None) -> list[LabelVersion]:
        """All versions, of one image or of all, by image and revision; without removed labels."""
        self.ready()
        return queries.versions(self.context, image)

    def version(self, image: str, revision: int) -> LabelVersion:
        """One version.

        Raises:
            NotFoundError: no such version.
        """
        self.ready()
        return queries.version(self.context, image, revision)

    def current(self, images: Iterable[str] | None = None) -> dict[tuple[str, str], LabelVersion]:
        """The newest version of each image and tag."""
        self.ready()
        return queries.current(self.context, images)

    def state(self, version: LabelVersion) -> State:
        """State of a version, by its newest review or else its tag.

        Raises:
            NotFoundError: no such version.
        """
        state = self.states(version.image).get((version.image, version.revision))
        if state is None:
            raise NotFoundError("This image has no label of that revision.")
        return state

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
            NotFoundError: it is damaged, and was quarantined.
        """
        return self._saving.verified(version)

    def review(self, image: str, revision: int, state: str, reviewer: str, comment: str = "") -> Review:
        """Save a review that sets the state of a version: `final`, `returned`, `approved` or `flagged`.

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
        """Number of each annotator's newest final labels in each state."""
        self.ready()
        return reviewing.counts(self.context)

    def to_review(
        self, states: Collection[str], *, limit: int = 100, offset: int = 0
    ) -> list[reviewing.Listed]:
        """Each annotator's newest final label of each image in any of `states`, by image and annotator.

        At most `limit` of them, skipping the first `offset`.
        """
        self.ready()
        return reviewing.listed(self.context, states, limit=limit, offset=offset)

    def remove(self, image: str, tag: str) -> None:
        """Remove a label of an image: its versions stay on the disk, but are hidden.

        A file saved by hand over the copy in `labels/` becomes a version first.

        Raises:
            NotFoundError: no such label.
        """
        self.ready()
        hand_placed.adopt(self.context, self._saving)
        self._saving.remove(image, tag)

    def remove_image(self, image: str) -> None:
        """Delete an image whose file was deleted from the index, with its labels."""
        self.ready()
        self._saving.remove_image(image)

    def readings(self, image: str | None = None) -> dict[str, list[Reading]]:
        """By image, each annotator's final labels, each frame from its newest version."""
        self.ready()
        return readings(self.context, image)

    def agreement(self, image: str) -> list[Agreement]:
        """Agreement of the readers of an image, for each pair and structure."""
        self.ready()
        return agreement(self.context, self._saving, image)

    def trainable(self) -> list[TrainingLabel]:
        """The labels to train on, by image and revision, after comparing every checksum."""
        self.ready()
        return self._trainable.labels()

    def trainable_revisions(self) -> set[Revision]:
        """Image and revision of the labels to train on; no file is read or hashed."""
        self.ready()
        return self._trainable.revisions()

    # work

    def finished(self) -> set[Unit]:
        """Every frame whose newest label is final or approved; frame 0 if the whole image is labelled."""
        self.ready()
        return self._units.finished()

    def units(self) -> list[Unit]:
        """All units of the existing images, in order."""
        self.ready()
        return self._units.all()

    def unlabelled(self, annotator: str | None = None, *, wait: bool = True) -> list[Unit]:
        """Units that wait for a label and are not leased, in order; for one annotator, if one is named.

        Args:
            annotator: who may lease them; None for anyone.
            wait: open new cines to count their frames; there may be hundreds. With False, such a cine has one
                unit, its first frame, until it has been counted in the background.
        """
        self.ready()
        return self._units.unlabelled(annotator, wait=wait)

    def claim(self, order: Iterable[Unit], annotator: str) -> Lease | None:
        """Lease the first free unit of an order to an annotator; None if there is none.

        Units that a reviewer returned to the annotator come first. If no unit is free, one that the annotator
        has leased already is given again.
        """
        self.ready()
        return self._leases.claim(order, annotator)

    def renew(self, unit: Unit, annotator: str) -> Lease:
        """Renew a lease.

        Raises:
            NotFoundError: it has ended or never existed.
        """
        self.ready()
        return self._leases.renew(unit, annotator)

    def touch(self, image: str, annotator: str) -> None:
        """Renew the annotator's leases on an image, if any."""
        self.ready()
        self._leases.touch(image, annotator)

    def release(self, unit: Unit, annotator: str) -> None:
        """End a lease, if there is one."""
        self.ready()
        self._leases.release(unit, annotator)

    def skip(self, unit: Unit, annotator: str, reason: str) -> None:
        """End a lease and never offer the unit to this annotator again.

        Raises:
            NotFoundError: no such image.
            RequestError: no reason.
        """
        self.ready()
        self._leases.skip(unit, annotator, reason)

    def leases(self) -> list[Lease]:
        """The current leases."""
        self.ready()
        return self._leases.running()

    def skipped(self) -> dict[Unit, dict[str, str]]:
        """Skipped units, with the reason of each annotator."""
        self.ready()
        return queries.skipped(self.context)
