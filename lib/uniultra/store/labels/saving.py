"""Writes label versions and reviews to the disk, and removes them.

The order of a save. The mask is copied and made durable, then its record: the record is the commit point, and
a mask without one is quarantined by the next recovery. The row in the index, the work rows and the published
copy follow; all of them can be rebuilt from the record. If the index fails after the record was written, it
is closed, so that the next access opens it again and recovery finds the version.
"""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError
from sqlalchemy import Connection, select

from uniultra.errors import RequestError
from uniultra.files import atomic, checksummed
from uniultra.files.checksummed import sha256
from uniultra.store import quarantine, queries
from uniultra.store.catalogue.ids import check_name, check_tag
from uniultra.store.context import Context
from uniultra.store.errors import ConflictError, NotFoundError
from uniultra.store.index import rows, schema
from uniultra.store.labels import examine, published_copies, records
from uniultra.store.labels.files import check_decodable, label_extension
from uniultra.store.labels.frames import labelled_frames, values_by_frame
from uniultra.store.newest_frames import Frames
from uniultra.store.paths import (
    MASK,
    RECORD,
    label_path,
    mask_path,
    record_path,
    review_path,
    versions_folder,
)
from uniultra.store.types import FINAL, MAX_INDEX, LabelVersion, Origin, Review
from uniultra.store.work.leases import Leases

logger = logging.getLogger(__name__)
_MAX_INFO_BYTES = 64 << 10
_MAX_ORIGIN_BYTES = 1 << 20


@dataclass
class Draft:
    """A version before it is saved; for the attributes see `LabelStore.save`."""

    image: str
    file: Path
    tag: str = FINAL
    annotator: str = ""
    base: int | None = None
    frames: Frames = None
    origin: Origin = field(default_factory=Origin)
    info: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, int] | None = None
    made: datetime | None = None


class Saving:
    """Saves, reviews, verifies and removes versions."""

    def __init__(self, context: Context, leases: Leases) -> None:
        self._context, self._leases = context, leases

    def save(self, draft: Draft) -> LabelVersion:
        """Save a version; if its idempotency key was used before, return that version."""
        context = self._context
        check_info(draft.info)
        draft.tag = check_tag(draft.tag)
        ext = label_extension(draft.file.name)
        _check_words(draft)
        path = context.images.path(draft.image)
        values = values_by_frame(draft.file, check_decodable(draft.file))
        count = context.frame_counts.of([draft.image], {draft.image: path})[draft.image]
        draft.frames = labelled_frames(draft.frames, values, count)
        with context.lock:
            with context.index.writing() as connection:
                if saved := _by_key(connection, draft):
                    return saved
                self._check_base(connection, draft)
                revision = self._next_revision(connection, draft.image)
                source = connection.execute(
                    select(schema.images.c.path).where(schema.images.c.id == draft.image)
                ).scalar_one()
            version = self._write(draft, revision, ext, source, self._names(draft, values))
            try:
                with context.index.writing() as connection:
                    rows.insert_version(connection, context.studies, version)
                    context.recount(connection, [version.image])
                    if version.tag == FINAL:
                        _finish(connection, version, any_frame=context.campaign.frame_step is None)
            except BaseException:
                context.index.close()  # the record exists: the next access recovers it
                raise
            published_copies.publish(context, [version.image])
        if version.tag != FINAL:
            self._leases.touch(version.image, version.annotator)
        return version

    def _check_base(self, connection: Connection, draft: Draft) -> None:
        if draft.base is None:
            return
        table = schema.versions.c
        query = select(table.record).where(
            table.image == draft.image, table.tag == draft.tag, table.revision > draft.base
        )
        if not (self._context.one_history and draft.tag == FINAL):
            query = query.where(table.annotator == draft.annotator)
        query = query.where(table.hidden.is_(False)).order_by(table.revision.desc())
        for version in queries.read_versions(connection, query):
            # a draft replaces the one before; final labels of other frames coexist
            if draft.tag != FINAL or _share_frames(version.frames, draft.frames):
                raise ConflictError(version)

    def _next_revision(self, connection: Connection, image: str) -> int:
        """A revision never used before, also by versions on the disk that are not in the index."""
        table = schema.images.c
        last = connection.execute(select(table.last).where(table.id == image)).scalar_one()
        folder = versions_folder(self._context.studies, image)
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        if any(int(m[1]) > last for name in names if (m := RECORD.fullmatch(name))):
            examine.recover_image(self._context, connection, image)
            last = connection.execute(select(table.last).where(table.id == image)).scalar_one()
        on_disk = [int(m[1]) for name in names if (m := MASK.fullmatch(name))]
        return int(max([last, *on_disk])) + 1

    def _names(self, draft: Draft, values: list[set[int]]) -> dict[str, int]:
        """Index of each name: from the request, the campaign, or made up from the values of the label."""
        present = sorted(set().union(*values))
        names = draft.labels or self._context.campaign.indices
        if len(names) == 1 and len(present) == 1:
            return dict.fromkeys(names, present[0])
        if names:
            return dict(names)
        if len(present) > 1:
            return {f"structure {value}": value for value in present}
        return {"structure": present[0] if present else 1}

    def _write(
        self, draft: Draft, revision: int, ext: str, source: str, names: dict[str, int]
    ) -> LabelVersion:
        context = self._context
        mask = versions_folder(context.studies, draft.image) / f"{revision}{ext}"
        with atomic.staged(mask.parent) as part:
            atomic.copy(draft.file, part)
            try:
                version = LabelVersion(
                    image=draft.image,
                    revision=revision,
                    tag=draft.tag,
                    annotator=draft.annotator,
                    made=draft.made or context.now(),
                    base=draft.base,
                    ext=ext,
                    sha256=sha256(part),
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
            records.write(record_path(context.studies, draft.image, revision), version)
        except BaseException:
            atomic.remove(mask)
            raise
        return version

    def review(self, image: str, revision: int, state: str, reviewer: str, comment: str) -> Review:
        """Save a review as the next one of its version."""
        context = self._context
        with context.lock:
            check_name(reviewer, "the reviewer's name")
            if not checksummed.readable({"comment": comment}):
                raise RequestError("Expected the comment in Unicode; got something else. Correct it.")
            version = queries.version(context, image, revision)
            if version.tag != FINAL and version.tag != "consensus":
                raise RequestError("Expected a final label to review; got a draft. Save it as final first.")
            try:
                review = Review(
                    image=image,
                    revision=revision,
                    state=cast(Any, state),  # validated here
                    reviewer=reviewer,
                    made=context.now(),
                    comment=comment,
                )
            except ValidationError:
                raise RequestError(
                    "Expected a review's state to be final, returned, approved or flagged; got another."
                ) from None
            number = 1 + records.last_review(context.studies, image, revision)
            records.write(review_path(context.studies, image, revision, number), review)
            with context.index.writing() as connection:
                rows.insert_review(connection, review, number)
                context.recount(connection, [image])
        return review

    def verified(self, version: LabelVersion) -> Path:
        """The mask of a version, after its checksum was compared.

        A damaged mask is restored from its copy in `labels/`; without an intact copy it is quarantined.
        """
        context = self._context
        path = mask_path(context.studies, version)
        try:
            if sha256(path) == version.sha256:
                return path
        except FileNotFoundError:
            pass  # other errors of the disk do not mean that the label is damaged
        with context.lock:
            if published_copies.restore_mask(context, version):
                return path
            folder = versions_folder(context.studies, version.image)
            files = sorted(folder.glob(f"{version.revision}.*"))
            if files:
                reason: quarantine.Reason = (
                    "mask has another checksum" if path.exists() else "record without its mask"
                )
                quarantine.add(context.private, files, reason, version.image, version.revision)
            with context.index.writing() as connection:
                rows.drop_version(connection, version.image, version.revision)
                context.recount(connection, [version.image])
            published_copies.publish(context, [version.image])
        raise NotFoundError("This label's file is damaged. It was quarantined; label the image again.")

    def remove(self, image: str, tag: str) -> None:
        """Hide the versions of one tag."""
        context = self._context
        with context.lock:
            version = queries.current(context, [image]).get((image, tag))
            if version is None:
                raise NotFoundError("This image has no label with that tag. Ask for another tag.")
            context.events.note(
                [{"kind": "label removed", "image": image, "tag": tag, "revision": version.revision}]
            )
            published_copies.publish(context, [image])

    def remove_image(self, image: str) -> None:
        """Delete an image's versions and its rows."""
        context = self._context
        with context.lock:
            current = queries.current(context, [image])
            context.events.note([{"kind": "image removed", "image": image}])
            shutil.rmtree(versions_folder(context.studies, image), ignore_errors=True)
            with context.index.writing() as connection:
                for table in (schema.versions, schema.reviews, schema.published, schema.work):
                    connection.execute(table.delete().where(table.c.image == image))
            for (_, tag), version in current.items():
                atomic.remove(label_path(context.studies, image, tag, version.ext))


def check_info(info: object) -> None:
    """Check that `info` is a small JSON object.

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
    """Refuse values that the record or the index cannot hold; nothing is written yet."""
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


def _share_frames(first: Frames, second: Frames) -> bool:
    """Whether two labels of an image have a frame in common; None is all of them."""
    return first is None or second is None or not set(first).isdisjoint(second)


def _by_key(connection: Connection, draft: Draft) -> LabelVersion | None:
    key, table = draft.info.get(rows.IDEMPOTENCY_KEY), schema.versions.c
    if not isinstance(key, str):
        return None
    query = select(table.record).where(table.image == draft.image, table.key == key, table.tag == draft.tag)
    return next(iter(queries.read_versions(connection, query)), None)


def _finish(connection: Connection, version: LabelVersion, *, any_frame: bool) -> None:
    """A final label ends the annotator's leases on its frames; on the image if any frame will do."""
    table = schema.leases
    query = table.delete().where(table.c.image == version.image, table.c.annotator == version.annotator)
    if version.frames and not any_frame:
        query = query.where(table.c.frame.in_(version.frames))
    connection.execute(query)
