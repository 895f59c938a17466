"""Versions and reviews as rows of the index, and the work rows counted from them."""

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
    """The state of a version that nobody has reviewed."""
    return "final" if tag in _FINAL_TAGS else "draft"


def insert_version(connection: Connection, studies: Path, version: LabelVersion) -> None:
    """Enter a version whose files are there."""
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
            stamp=stamp(studies, version),
            hidden=removed is not None and version.revision <= removed,
        )
    )
    used(connection, version.image, version.revision)


def stamp(studies: Path, version: LabelVersion) -> str:
    """Age and size of a version's files, as they are now."""
    record = record_path(studies, version.image, version.revision)
    return file_stamp(mask_path(studies, version), record)


def file_stamp(mask: Path, record: Path) -> str:
    """The same, of the files themselves."""
    return " ".join(f"{stat.st_mtime_ns}:{stat.st_size}" for stat in (mask.stat(), record.stat()))


def used(connection: Connection, image: str, revision: int) -> None:
    """Never give a revision again."""
    table = schema.images
    connection.execute(
        update(table).where(table.c.id == image, table.c.last < revision).values(last=revision)
    )


def insert_review(connection: Connection, review: Review, number: int) -> None:
    """Enter the n-th review of a version; the newest makes its state."""
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
    """Forget a version whose files are gone."""
    for table in (schema.versions, schema.reviews):
        connection.execute(table.delete().where(table.c.image == image, table.c.revision == revision))


def recount(connection: Connection, images: Iterable[str], *, one_history: bool) -> None:
    """Fill the table `work` for these images again: who has labelled which frame.

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
        counted = newest_frames(
            ("" if one_history else version.annotator, (version, state), version.frames)
            for version, state in versions
        )
        found = [
            {
                "image": image,
                "frame": frame,
                "annotator": version.annotator,
                "revision": version.revision,
                "state": state,
            }
            for (version, state), frames in counted
            for frame in ((WHOLE,) if frames is None else frames)
        ]
        if found:
            connection.execute(work.insert(), found)
