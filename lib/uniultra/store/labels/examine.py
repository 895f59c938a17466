"""The folder of an image's versions compared with the index, which takes over what is different.

Opening the store does so for every image; a save does it for one image whose folder holds a revision that
the index does not know (another process died between the file and its row).
"""

from __future__ import annotations

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

Stamps = dict[int, str]  # of each revision in the index
Reviewed = set[tuple[int, int]]  # revision and number of each review in the index
_UNREAD = "The newest review of this label was damaged and put aside. Review the label again."


def recover_image(context: Context, connection: Connection, image: str) -> None:
    """Bring the index up to date with one image's versions; the caller holds the write lock."""
    folder = ImageFolder(context, connection, image, *indexed(connection, image).get(image, ({}, set())))
    if folder.enter():
        context.recount(connection, [image])


def indexed(connection: Connection, image: str | None = None) -> dict[str, tuple[Stamps, Reviewed]]:
    """What the index knows of each image that has versions, or of one."""
    versions, reviews = schema.versions.c, schema.reviews.c
    stamps = select(versions.image, versions.revision, versions.stamp)
    reviewed = select(reviews.image, reviews.revision, reviews.number)
    if image is not None:
        stamps, reviewed = stamps.where(versions.image == image), reviewed.where(reviews.image == image)
    found: dict[str, tuple[Stamps, Reviewed]] = {}
    for of, revision, stamp in connection.execute(stamps):
        found.setdefault(of, ({}, set()))[0][revision] = stamp
    for of, revision, number in connection.execute(reviewed):
        found.setdefault(of, ({}, set()))[1].add((revision, number))
    return found


class ImageFolder:
    """The versions and reviews in one image's folder, to be entered into the index.

    Args:
        context, connection: the store and a writing transaction; the caller holds the write lock.
        image: id.
        stamps, reviewed: what the index knows of it.
        repair: quarantine what cannot be trusted; without, nothing is written to the folder.
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
        """Enter what is different, drop what is gone; whether anything was different."""
        masks = {int(m[1]): p for n, p in self._names.items() if (m := MASK.fullmatch(n))}
        recorded = {int(m[1]): p for n, p in self._names.items() if (m := RECORD.fullmatch(n))}
        different = False
        for revision, path in sorted(recorded.items()):
            mask = masks.get(revision)
            if mask is not None and rows.file_stamp(mask, path) == self._stamps.get(revision):
                continue
            different = True
            rows.drop_version(self._connection, self._image, revision)
            self._reviewed -= {pair for pair in self._reviewed if pair[0] == revision}
            if reason := self._enter(path, mask):
                self._put_aside(revision, reason)
        for revision in self._stamps.keys() - recorded.keys():
            different = True
            rows.drop_version(self._connection, self._image, revision)
        for revision in sorted(masks.keys() - recorded.keys()):
            self._put_aside(revision, "mask without a record")
        return self._enter_reviews() or different

    def _enter(self, path: Path, mask: Path | None) -> Reason | None:
        """Enter a version into the index, or say why it cannot be trusted.

        With `repair` a damaged mask is restored first, where its copy in `labels/` is whole.
        """
        try:
            version = records.read_version(path)
        except records.NewerRecordError:
            return None  # left as it is for the program that wrote it
        except ValueError:
            return "record damaged"
        if version.image != self._image or path.stem != str(version.revision):
            return "record damaged"
        reason: Reason | None = None
        if mask is None or mask.name != f"{version.revision}{version.ext}":
            reason = "record without its mask"
        elif sha256(mask) != version.sha256:
            reason = "mask has another checksum"
        if reason and not (self._repair and published_copies.put_right(self._context, version)):
            return reason

        def enter() -> None:
            self._enter_image(version)
            rows.insert_version(self._connection, self._context.studies, version)

        return None if fits(self._connection, enter) else "record damaged"

    def _enter_image(self, version: LabelVersion) -> None:
        """The image of a version, where the journal no longer says which id a path had."""
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
        different = False
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
                    quarantine.put_aside(private, [path], "record damaged", self._image, revision)
                continue
            different = True
            damaged.pop(revision, None)  # whatever it said, a later one counts
            rows.insert_review(self._connection, review, number)
        for revision, number in damaged.items():
            self._flag(revision, number)
        return different or bool(damaged)

    def _flag(self, revision: int, number: int) -> None:
        """Flag a version whose newest review cannot be read: it may have been returned."""
        now = self._context.now()
        review = Review(
            image=self._image, revision=revision, state="flagged", reviewer="", comment=_UNREAD, made=now
        )
        if self._repair:  # in the place of the one that was put aside: the next review comes after it
            records.write(review_path(self._context.studies, self._image, revision, number), review)
        rows.insert_review(self._connection, review, number)

    def _put_aside(self, revision: int, reason: Reason) -> None:
        if self._repair:
            files = [path for name, path in sorted(self._names.items()) if name.startswith(f"{revision}.")]
            quarantine.put_aside(self._context.private, files, reason, self._image, revision)
            rows.used(self._connection, self._image, revision)
