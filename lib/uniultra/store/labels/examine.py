"""Compares the folder of an image's versions with the index, and updates the index.

Opening the store does this for every image; a save does it for an image whose folder has a revision that is
not in the index (another process died after writing the file and before adding the row).
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from sqlalchemy import Connection, select

from uniultra.errors import RequestError
from uniultra.files.checksummed import sha256
from uniultra.store import quarantine
from uniultra.store.catalogue.ids import check_id
from uniultra.store.context import Context
from uniultra.store.index import rows, schema
from uniultra.store.index.events import apply
from uniultra.store.index.savepoint import fits
from uniultra.store.labels import published_copies, records
from uniultra.store.paths import MASK, RECORD, REVIEW, review_path, versions_folder
from uniultra.store.quarantine import Reason
from uniultra.store.types import LabelVersion, Review

Stamps = dict[int, str]  # by revision
Reviewed = set[tuple[int, int]]  # revision and number of each review
_UNREAD = "The newest review of this label was damaged and quarantined. Review the label again."


def recover_image(context: Context, connection: Connection, image: str) -> None:
    """Update the index from one image's versions; the caller holds the write lock."""
    folder = ImageFolder(context, connection, image, *indexed(connection, image)[image])
    if folder.enter():
        context.recount(connection, [image])


def indexed(connection: Connection, image: str | None = None) -> dict[str, tuple[Stamps, Reviewed]]:
    """Indexed stamps and reviews of each image with versions, or of one image; empty for any other."""
    versions, reviews = schema.versions.c, schema.reviews.c
    stamps = select(versions.image, versions.revision, versions.stamp)
    reviewed = select(reviews.image, reviews.revision, reviews.number)
    if image is not None:
        stamps, reviewed = stamps.where(versions.image == image), reviewed.where(reviews.image == image)
    images: dict[str, tuple[Stamps, Reviewed]] = defaultdict(lambda: ({}, set()))
    for name, revision, stamp in connection.execute(stamps):
        images[name][0][revision] = stamp
    for name, revision, number in connection.execute(reviewed):
        images[name][1].add((revision, number))
    return images


class ImageFolder:
    """Enters the versions and reviews in one image's folder into the index.

    Args:
        context, connection: the store and a writing transaction; the caller holds the write lock.
        image: id.
        stamps, reviewed: of the image in the index.
        repair: quarantine damaged files. Default True; with False nothing is written to the folder.
    """

    def __init__(
        self,
        context: Context,
        connection: Connection,
        image: str,
        stamps: Stamps,
        reviewed: Reviewed,
        *,
        repair: bool = True,
    ) -> None:
        self._context, self._connection, self._image = context, connection, image
        self._stamps, self._reviewed, self._repair = stamps, reviewed, repair
        folder = versions_folder(context.studies, image)
        self._names = {path.name: path for path in folder.iterdir() if not path.name.startswith(".")}

    def enter(self) -> bool:
        """Enter changed files, drop rows without a file; whether anything changed."""
        masks = {int(m[1]): p for n, p in self._names.items() if (m := MASK.fullmatch(n))}
        recorded = {int(m[1]): p for n, p in self._names.items() if (m := RECORD.fullmatch(n))}
        changed = False
        for revision, path in sorted(recorded.items()):
            mask = masks.get(revision)
            if mask is not None and rows.file_stamp(mask, path) == self._stamps.get(revision):
                continue
            changed = True
            rows.drop_version(self._connection, self._image, revision)
            self._reviewed -= {pair for pair in self._reviewed if pair[0] == revision}
            if reason := self._enter(path, mask):
                self._quarantine(revision, reason)
        for revision in self._stamps.keys() - recorded.keys():
            changed = True
            rows.drop_version(self._connection, self._image, revision)
        for revision in sorted(masks.keys() - recorded.keys()):
            self._quarantine(revision, "mask without a record")
        return self._enter_reviews() or changed

    def _enter(self, path: Path, mask: Path | None) -> Reason | None:
        """Enter a version into the index; the reason if it is damaged.

        With `repair`, a damaged mask is first restored from its copy in `labels/`, if that is intact.
        """
        try:
            version = records.read_version(path)
        except records.NewerRecordError:
            return None  # left to the newer program that wrote it
        except ValueError:
            return "record damaged"
        if version.image != self._image or path.stem != str(version.revision):
            return "record damaged"
        reason: Reason | None = None
        if mask is None or mask.name != f"{version.revision}{version.ext}":
            reason = "record without its mask"
        elif sha256(mask) != version.sha256:
            reason = "mask has another checksum"
        if reason and not (self._repair and published_copies.restore_mask(self._context, version)):
            return reason

        def enter() -> None:
            self._enter_image(version)
            rows.insert_version(self._connection, self._context.studies, version)

        return None if fits(self._connection, enter) else "record damaged"

    def _enter_image(self, version: LabelVersion) -> None:
        """Enter the image of a version, in case the journal that has its id was lost."""
        table = schema.images.c
        if self._connection.execute(select(table.id).where(table.id == version.image)).first() is None:
            try:
                check_id(version.image)
            except RequestError:
                return
            apply(self._connection, {"kind": "image", "image": version.image, "path": version.source})

    def _enter_reviews(self) -> bool:
        table = schema.versions.c
        query = select(table.revision).where(table.image == self._image)
        revisions = set(self._connection.execute(query).scalars())
        changed = False
        damaged: dict[int, int] = {}
        reviews = {(int(m[1]), int(m[2])): p for n, p in self._names.items() if (m := REVIEW.fullmatch(n))}
        for (revision, number), path in sorted(reviews.items()):
            if revision not in revisions or not path.exists():
                continue
            if (revision, number) in self._reviewed:
                damaged.pop(revision, None)
                continue
            try:
                review = records.read_review(path)
            except records.NewerRecordError:
                continue
            except ValueError:
                damaged[revision] = number
                if self._repair:
                    private = self._context.private
                    quarantine.add(private, [path], "record damaged", self._image, revision)
                continue
            changed = True
            damaged.pop(revision, None)  # superseded by this later review
            rows.insert_review(self._connection, review, number)
        for revision, number in damaged.items():
            self._flag(revision, number)
        return changed or bool(damaged)

    def _flag(self, revision: int, number: int) -> None:
        """Flag a version whose newest review cannot be read: it may have returned the label."""
        now = self._context.now()
        review = Review(
            image=self._image, revision=revision, state="flagged", reviewer="", comment=_UNREAD, made=now
        )
        if self._repair:  # under the number of the quarantined review, so that the next one follows it
            records.write(review_path(self._context.studies, self._image, revision, number), review)
        rows.insert_review(self._connection, review, number)

    def _quarantine(self, revision: int, reason: Reason) -> None:
        if self._repair:
            files = [path for name, path in sorted(self._names.items()) if name.startswith(f"{revision}.")]
            quarantine.add(self._context.private, files, reason, self._image, revision)
            rows.used(self._connection, self._image, revision)
