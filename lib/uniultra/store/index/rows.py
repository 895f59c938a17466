"""Rows of the index for versions and reviews, and the work rows derived from them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Connection, delete, select, update

from uniultra.store.index import schema
from uniultra.store.newest_frames import newest_frames
from uniultra.store.paths import mask_path, record_path
from uniultra.store.types import FINAL, WHOLE, LabelVersion, Review, State

IDEMPOTENCY_KEY = "idempotency_key"
_FINAL_TAGS = (FINAL, "consensus")


def first_state(tag: str) -> State:
    """The state of a version without reviews."""
    return "final" if tag in _FINAL_TAGS else "draft"


def insert_version(connection: Connection, studies: Path, version: LabelVersion) -> None:
    """Insert a version whose files exist."""
    removal = schema.removals.c
    removed = connection.execute(
        select(removal.revision).where(removal.image == version.image, removal.tag == version.tag)
    ).scalar()
    key = version.info.get(IDEMPOTENCY_KEY)
    connection.execute(
        schema.versions.insert().values(
            image=version.image,
            revision=version.revision,
            tag=version.tag,
            annotator=version.annotator,
            state=first_state(version.tag),
            record=version.model_dump_json(),
            key=key if isinstance(key, str) else None,
            stamp=file_stamp(
                mask_path(studies, version), record_path(studies, version.image, version.revision)
            ),
            hidden=removed is not None and version.revision <= removed,
        )
    )
    used(connection, version.image, version.revision)


def file_stamp(mask: Path, record: Path) -> str:
    """Modification times and sizes of a version's two files."""
    return " ".join(f"{stat.st_mtime_ns}:{stat.st_size}" for stat in (mask.stat(), record.stat()))


def used(connection: Connection, image: str, revision: int) -> None:
    """Record that a revision was used, so that it is never assigned again."""
    table = schema.images
    connection.execute(
        update(table).where(table.c.id == image, table.c.last < revision).values(last=revision)
    )


def insert_review(connection: Connection, review: Review, number: int) -> None:
    """Insert the n-th review of a version; the newest review determines its state."""
    connection.execute(
        schema.reviews.insert().values(
            image=review.image, revision=review.revision, number=number, record=review.model_dump_json()
        )
    )
    newest = connection.execute(
        select(schema.reviews.c.record)
        .where(schema.reviews.c.image == review.image, schema.reviews.c.revision == review.revision)
        .order_by(schema.reviews.c.number.desc())
        .limit(1)
    ).scalar_one()
    table = schema.versions
    connection.execute(
        update(table)
        .where(table.c.image == review.image, table.c.revision == review.revision)
        .values(state=Review.model_validate_json(newest).state)
    )


def drop_version(connection: Connection, image: str, revision: int) -> None:
    """Delete a version whose files are gone."""
    for table in (schema.versions, schema.reviews):
        connection.execute(table.delete().where(table.c.image == image, table.c.revision == revision))


def recount(connection: Connection, images: Iterable[str], *, one_history: bool) -> None:
    """Recompute the table `work` for these images: who has labelled which frame.

    With `one_history` a frame belongs to the annotator of its newest version, else each annotator has a
    history of their own.
    """
    table, work = schema.versions.c, schema.work
    for image in images:
        connection.execute(delete(work).where(work.c.image == image))
        final = connection.execute(
            select(table.record, table.state)
            .where(table.image == image, table.tag == FINAL, table.hidden.is_(False))
            .order_by(table.revision.desc())
        ).all()
        versions = [(LabelVersion.model_validate_json(record), state) for record, state in final]
        current = newest_frames(
            ("" if one_history else version.annotator, (version, state), version.frames)
            for version, state in versions
        )
        rows = [
            dict(zip(work.c.keys(), (image, frame, version.annotator, version.revision, state), strict=True))
            for (version, state), frames in current
            for frame in ((WHOLE,) if frames is None else frames)
        ]
        if rows:
            connection.execute(work.insert(), rows)
