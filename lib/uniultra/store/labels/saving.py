"""How versions and reviews get onto the disk, and off it."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from sqlalchemy import Connection, select

from uniultra.errors import RequestError
from uniultra.files import atomic, checksummed
from uniultra.store.catalogue.frames import labelled_frames, values_by_frame
from uniultra.store.catalogue.ids import check_name, check_tag
from uniultra.store.errors import ConflictError, NotFoundError
from uniultra.store.index import recovery, rows, schema
from uniultra.store.labels import published_copies, quarantine, records
from uniultra.store.labels.files import check_decodable, label_extension, label_path
from uniultra.store.types import MAX_INDEX, LabelVersion, Origin, Review
from uniultra.store.work import progress

if TYPE_CHECKING:
    from uniultra.store.store import LabelStore

logger = logging.getLogger(__name__)
_MAX_INFO_BYTES = 64 << 10
_MAX_ORIGIN_BYTES = 1 << 20


@dataclass
class Draft:
    """What somebody wants to be a version."""

    image: str
    file: Path
    tag: str
    annotator: str
    base: int | None
    frames: tuple[int, ...] | None
    origin: Origin
    info: dict[str, Any]
    labels: dict[str, int] | None
    made: datetime | None


class Saving:
    """Writes versions: the mask, then its record, which makes it a version; then everything derived."""

    def __init__(self, store: LabelStore) -> None:
        self._store = store

    def save(self, draft: Draft) -> LabelVersion:
        """Keep a draft as a version; the one there is, when its idempotency key was used before."""
        store = self._store
        check_info(draft.info)
        draft.tag = check_tag(draft.tag)
        ext = label_extension(draft.file.name)
        _check_words(draft)
        path = store.images.path(draft.image)
        values = values_by_frame(draft.file, check_decodable(draft.file))
        draft.frames = labelled_frames(draft.frames, values, self._cine_frames(draft.image, path))
        with store.lock:
            with store.index.writing() as connection:
                if known := _by_key(connection, draft):
                    return known
                self._check_line(connection, draft)
                revision = self._next_revision(connection, draft.image)
                source = connection.execute(
                    select(schema.images.c.path).where(schema.images.c.id == draft.image)
                ).scalar_one()
            version = self._write(draft, revision, ext, source, self._names(draft, values))
            try:
                with store.index.writing() as connection:
                    rows.insert_version(connection, store.studies, version)
                    progress.recount(connection, [version.image], one_line=store.one_line)
                    if version.tag == progress.FINAL:
                        _finish(connection, version, any_frame=store.campaign.frame_step is None)
            except BaseException:
                store.index.close()  # the version is there: the next to ask finds it
                raise
            published_copies.publish(store, [version.image])
        if version.tag != progress.FINAL:
            store.touch(version.image, version.annotator)
        return version

    def _cine_frames(self, image: str, path: Path) -> int:
        return self._store.frames_of([image], {image: path})[image]

    def _check_line(self, connection: Connection, draft: Draft) -> None:
        if draft.base is None:
            return
        table = schema.versions.c
        query = select(table.record).where(
            table.image == draft.image, table.tag == draft.tag, table.revision > draft.base
        )
        if not (self._store.one_line and draft.tag == progress.FINAL):
            query = query.where(table.annotator == draft.annotator)
        newer = connection.execute(
            query.where(table.hidden.is_(False)).order_by(table.revision.desc())
        ).scalars()
        for version in map(LabelVersion.model_validate_json, newer):
            # a draft stands in the place of the one before; final labels of other frames stand beside it
            if draft.tag != progress.FINAL or _share_frames(version.frames, draft.frames):
                raise ConflictError(version)

    def _next_revision(self, connection: Connection, image: str) -> int:
        """A number that no version ever had, also not one that the index has not heard of."""
        table = schema.images.c
        last = connection.execute(select(table.last).where(table.id == image)).scalar_one()
        folder = records.folder(self._store.studies, image)
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        if any(int(m[1]) > last for name in names if (m := records.RECORD.fullmatch(name))):
            recovery.recover_image(self._store, connection, image)
            last = connection.execute(select(table.last).where(table.id == image)).scalar_one()
        on_disk = [int(m[1]) for name in names if (m := records.MASK.fullmatch(name))]
        return int(max([last, *on_disk])) + 1

    def _names(self, draft: Draft, values: list[set[int]]) -> dict[str, int]:
        """Index of each name: of the request, of the campaign, or made up from what the label holds."""
        there = sorted(set().union(*values))
        known = draft.labels or self._store.campaign.indices
        if len(known) == 1 and len(there) == 1:
            return dict.fromkeys(known, there[0])
        if known:
            return dict(known)
        return (
            {"structure": there[0] if there else 1}
            if len(there) < 2
            else {f"structure {v}": v for v in there}
        )

    def _write(
        self, draft: Draft, revision: int, ext: str, source: str, names: dict[str, int]
    ) -> LabelVersion:
        store = self._store
        mask = records.folder(store.studies, draft.image) / f"{revision}{ext}"
        with atomic.staged(mask.parent) as part:
            atomic.copy(draft.file, part)
            try:
                version = LabelVersion(
                    image=draft.image,
                    revision=revision,
                    tag=draft.tag,
                    annotator=draft.annotator,
                    made=draft.made or store.now(),
                    base=draft.base,
                    ext=ext,
                    sha256=records.sha256(part),
                    frames=draft.frames,
                    labels=names,
                    origin=draft.origin,
                    source=source,
                    info=draft.info,
                )
            except ValidationError:
                raise RequestError(
                    "Expected a base revision and label indices of 0 or more; got others."
                ) from None
            atomic.move(part, mask)
        try:
            records.write(records.record_path(store.studies, draft.image, revision), version)
        except BaseException:
            atomic.remove(mask)
            raise
        return version

    def review(self, image: str, revision: int, state: str, reviewer: str, comment: str) -> Review:
        """Keep a review as the next of its version."""
        store = self._store
        with store.lock:
            check_name(reviewer, "the reviewer's name")
            if not checksummed.readable({"comment": comment}):
                raise RequestError("Expected the comment in Unicode; got something else. Correct it.")
            version = store.version(image, revision)
            if version.tag != progress.FINAL and version.tag != "consensus":
                raise RequestError(
                    "Expected a final label to review; this one is a draft. Save it as final first."
                )
            try:
                review = Review.model_validate(
                    {
                        "image": image,
                        "revision": revision,
                        "state": state,
                        "reviewer": reviewer,
                        "made": store.now(),
                        "comment": comment,
                    }
                )
            except ValidationError:
                raise RequestError(
                    "Expected a review's state to be final, returned, approved or flagged; got another."
                ) from None
            number = 1 + records.last_review(store.studies, image, revision)
            records.write(records.review_path(store.studies, image, revision, number), review)
            with store.index.writing() as connection:
                rows.insert_review(connection, review, number)
                progress.recount(connection, [image], one_line=store.one_line)
        return review

    def verified(self, version: LabelVersion) -> Path:
        """The mask of a version whose checksum is right.

        A damaged one is put right from its copy in `labels/`; without a whole copy it goes to the quarantine.
        """
        store = self._store
        path = records.mask_path(store.studies, version)
        try:
            if records.sha256(path) == version.sha256:
                return path
        except FileNotFoundError:
            pass  # any other trouble with the disk says nothing about the label
        with store.lock:
            if published_copies.put_right(store, version):
                return path
            folder = records.folder(store.studies, version.image)
            files = sorted(folder.glob(f"{version.revision}.*"))
            if files:
                reason: quarantine.Reason = (
                    "mask has another checksum" if path.exists() else "record without its mask"
                )
                quarantine.put_aside(store.private, files, reason, version.image, version.revision)
            with store.index.writing() as connection:
                rows.drop_version(connection, version.image, version.revision)
                progress.recount(connection, [version.image], one_line=store.one_line)
            published_copies.publish(store, [version.image])
        raise NotFoundError("This label's file is damaged. It was put aside; label the image again.")

    def remove(self, image: str, tag: str) -> None:
        """Hide the versions of one tag."""
        store = self._store
        with store.lock:
            with store.index.reading() as connection:
                version = published_copies.current(connection, [image]).get((image, tag))
            if version is None:
                raise NotFoundError("This image has no label with that tag. Ask for another tag.")
            store.events.note(
                [{"kind": "label removed", "image": image, "tag": tag, "revision": version.revision}]
            )
            published_copies.publish(store, [image])

    def remove_image(self, image: str) -> None:
        """Delete an image's versions and forget it."""
        store = self._store
        with store.lock:
            there = [(i, t, v) for (i, t), v in store.current([image]).items()]
            store.events.note([{"kind": "image removed", "image": image}])
            shutil.rmtree(records.folder(store.studies, image), ignore_errors=True)
            with store.index.writing() as connection:
                for table in (schema.versions, schema.reviews, schema.published, schema.work):
                    connection.execute(table.delete().where(table.c.image == image))
            for _, tag, version in there:
                atomic.remove(label_path(store.studies, image, tag, version.ext))


def check_info(info: object) -> None:
    """Refuse information that is no small JSON object.

    Raises:
        RequestError: it is not.
    """
    try:
        fits = isinstance(info, dict) and len(json.dumps(info, allow_nan=False)) <= _MAX_INFO_BYTES
    except (TypeError, ValueError, RecursionError):
        fits = False
    if not fits or not checksummed.readable({"info": info}):
        raise RequestError(
            f"Expected information as a JSON object of at most {_MAX_INFO_BYTES >> 10} KiB, of few levels, "
            "with text in Unicode; got something else. Nothing was saved. Correct it, or leave it out."
        )


def _check_words(draft: Draft) -> None:
    """Refuse what the record, or the index, could not give back; nothing is written yet."""
    check_name(draft.annotator, "the annotator's name")
    if isinstance(key := draft.info.get(rows.IDEMPOTENCY_KEY), str):
        check_name(key, "idempotency_key")
    numbers = [draft.base or 0, draft.origin.clicks or 0, *(draft.labels or {}).values()]
    if not all(0 <= number <= MAX_INDEX for number in numbers):
        raise RequestError(
            f"Expected a base revision, clicks and label indices from 0 to {MAX_INDEX}; got others. Nothing "
            "was saved. Correct them."
        )
    kept = {"origin": draft.origin.model_dump(), "labels": draft.labels}
    if not checksummed.readable(kept) or len(json.dumps(kept)) > _MAX_ORIGIN_BYTES:
        raise RequestError(
            "Expected prompts below 1 MiB and of few levels, and text in Unicode; got something else. "
            "Nothing was saved. Correct them."
        )


def _share_frames(one: tuple[int, ...] | None, other: tuple[int, ...] | None) -> bool:
    """Whether two labels of an image have a frame in common; None is all of them."""
    return one is None or other is None or not set(one).isdisjoint(other)


def _by_key(connection: Connection, draft: Draft) -> LabelVersion | None:
    key, table = draft.info.get(rows.IDEMPOTENCY_KEY), schema.versions.c
    if not isinstance(key, str):
        return None
    found = connection.execute(
        select(table.record).where(table.image == draft.image, table.key == key, table.tag == draft.tag)
    ).scalar()
    return None if found is None else LabelVersion.model_validate_json(found)


def _finish(connection: Connection, version: LabelVersion, *, any_frame: bool) -> None:
    """A label that is final ends the annotator's leases on what it holds; on all where any frame will do."""
    table = schema.leases
    query = table.delete().where(table.c.image == version.image, table.c.annotator == version.annotator)
    if version.frames and not any_frame:
        query = query.where(table.c.frame.in_(version.frames))
    connection.execute(query)
