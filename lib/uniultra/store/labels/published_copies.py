"""`labels/<tag>/<id><ext>`: a copy of the newest version of each tag, for stock clients and for people."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Row, delete, func, select

from uniultra.files import atomic
from uniultra.store.catalogue.ids import split_name
from uniultra.store.catalogue.scan import LABELS
from uniultra.store.index import schema
from uniultra.store.index.events import put
from uniultra.store.labels import records
from uniultra.store.labels.files import EXTENSIONS, label_path
from uniultra.store.types import LabelVersion

if TYPE_CHECKING:
    from uniultra.store.store import LabelStore

logger = logging.getLogger(__name__)


def current(
    connection: Connection, images: Iterable[str] | None = None
) -> dict[tuple[str, str], LabelVersion]:
    """The newest version of each image and tag."""
    table = schema.versions.c
    newest = select(table.image, func.max(table.revision).label("revision")).where(table.hidden.is_(False))
    if images is not None:
        newest = newest.where(table.image.in_(list(images)))
    newest_of = newest.group_by(table.image, table.tag).subquery()
    rows = connection.execute(
        select(table.record).join(
            newest_of, (table.image == newest_of.c.image) & (table.revision == newest_of.c.revision)
        )
    ).scalars()
    found = map(LabelVersion.model_validate_json, rows)
    return {(version.image, version.tag): version for version in found}


def publish(store: LabelStore, images: Iterable[str] | None = None) -> None:
    """Bring `labels/` up to date; the caller holds the write lock.

    A copy that cannot be written now is written at the next start: the version itself is safe. A file that
    somebody put there, or saved over a copy, stays: it is looked at, and becomes a version of its own.
    """
    with store.index.reading() as connection:
        wanted = current(connection, images)
        table = schema.published
        query = select(table)
        if images is not None:
            query = query.where(table.c.image.in_(list(images)))
        there = {(row.image, row.tag): row for row in connection.execute(query)}
    for (image, tag), row in there.items():
        if (image, tag) not in wanted:
            if not _left_alone(store, store.studies / LABELS / tag / row.name, row):
                atomic.remove(store.studies / LABELS / tag / row.name)
            with store.index.writing() as connection:
                _forget(connection, image, tag)
    for (image, tag), version in wanted.items():
        seen = there.get((image, tag))
        target = label_path(store.studies, image, tag, version.ext)
        if seen and seen.revision == version.revision and target.is_file():
            continue
        before = target.with_name(seen.name) if seen else target  # of another format, perhaps
        try:
            if _left_alone(store, target, seen) or _left_alone(store, before, seen):
                continue
            _copy(store, version, target)
            if before != target:
                atomic.remove(before)
        except OSError:
            logger.warning("The copy of a label in labels/ could not be written; the version is kept.")


def put_right(store: LabelStore, version: LabelVersion) -> bool:
    """Replace a version's damaged or missing mask by its copy in `labels/`; whether there is a whole one.

    The caller holds the write lock.

    Raises:
        OSError: the mask cannot be written.
    """
    copy = label_path(store.studies, version.image, version.tag, version.ext)
    mask = records.mask_path(store.studies, version)
    try:
        if version.ext not in EXTENSIONS or records.sha256(copy) != version.sha256:
            return False
    except OSError:
        return False  # there is none, or it cannot be read
    with atomic.staged(mask.parent) as part:
        atomic.copy(copy, part)
        atomic.move(part, mask)
    logger.warning("A label's file was damaged or missing. It was put right from its copy in labels/.")
    return True


def _left_alone(store: LabelStore, file: Path, seen: Row | None) -> bool:
    """Whether a file is somebody's own work, or cannot be told from it; its folder is looked at again."""
    try:
        if not file.is_file() or _ours(store, file, seen):
            return False
        os.utime(file.parent)  # a file that is saved over leaves its folder's time as it was
    except OSError:
        logger.warning("A file in labels/ cannot be read, or its folder not be written. It stays as it is.")
    return True


def _ours(store: LabelStore, target: Path, seen: Row | None) -> bool:
    """Whether a file is the copy of some version of its image and tag, and not somebody's own work."""
    stat = target.stat()
    if seen and (seen.name, seen.mtime, seen.size) == (target.name, stat.st_mtime_ns, stat.st_size):
        return True
    digest = records.sha256(target)
    image, table = split_name(target.name)[0], schema.versions.c
    with store.index.reading() as connection:
        known = connection.execute(
            select(table.record).where(table.image == image, table.tag == target.parent.name)
        ).scalars()
        return any(LabelVersion.model_validate_json(record).sha256 == digest for record in known)


def _copy(store: LabelStore, version: LabelVersion, target: Path) -> None:
    with atomic.staged(target.parent) as part:
        atomic.copy(records.mask_path(store.studies, version), part)
        atomic.move(part, target)
    note(store, version, target)


def note(store: LabelStore, version: LabelVersion, target: Path) -> None:
    """Remember what lies in `labels/` for a version, so that a file put there by hand is known by its age."""
    stat = target.stat()
    with store.index.writing() as connection:
        put(
            connection,
            schema.published,
            {"image": version.image, "tag": version.tag},
            {
                "revision": version.revision,
                "name": target.name,
                "mtime": stat.st_mtime_ns,
                "size": stat.st_size,
            },
        )


def _forget(connection: Connection, image: str, tag: str) -> None:
    table = schema.published
    connection.execute(delete(table).where(table.c.image == image, table.c.tag == tag))
