"""Published copies: the newest version of each tag in `labels/<tag>/<id><ext>`, for stock clients and
people."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Row, delete, select

from uniultra.files import atomic
from uniultra.files.checksummed import sha256
from uniultra.store import queries
from uniultra.store.catalogue.ids import split_name
from uniultra.store.context import Context
from uniultra.store.index import schema
from uniultra.store.index.database import put
from uniultra.store.labels.files import EXTENSIONS
from uniultra.store.paths import LABELS, label_path, mask_path
from uniultra.store.types import LabelVersion

logger = logging.getLogger(__name__)


def publish(context: Context, images: Iterable[str] | None = None) -> None:
    """Update `labels/`; the caller holds the write lock.

    A copy that cannot be written now is written at the next start: the version itself is safe. A file
    that was placed there by hand, or saved over a copy, is never replaced: it is adopted as a version
    (`hand_placed`).
    """
    newest = queries.current(context, images)
    table = schema.published
    query = select(table)
    if images is not None:
        query = query.where(table.c.image.in_(list(images)))
    with context.index.reading() as connection:
        copies = {(row.image, row.tag): row for row in connection.execute(query)}
    for (image, tag), row in copies.items():
        if (image, tag) not in newest:
            if not _left_alone(context, context.studies / LABELS / tag / row.name, row):
                atomic.remove(context.studies / LABELS / tag / row.name)
            with context.index.writing() as connection:
                connection.execute(delete(table).where(table.c.image == image, table.c.tag == tag))
    for (image, tag), version in newest.items():
        seen = copies.get((image, tag))
        target = label_path(context.studies, image, tag, version.ext)
        if seen and seen.revision == version.revision and target.is_file():
            continue
        before = target.with_name(seen.name) if seen else target  # may have another extension
        try:
            if _left_alone(context, target, seen) or _left_alone(context, before, seen):
                continue
            _copy(context, version, target)
            if before != target:
                atomic.remove(before)
        except OSError:
            logger.warning("The copy of a label in labels/ could not be written; the version is kept.")


def restore_mask(context: Context, version: LabelVersion) -> bool:
    """Restore a version's damaged or missing mask from its copy in `labels/`; whether that is intact.

    The caller holds the write lock.

    Raises:
        OSError: the mask cannot be written.
    """
    copy = label_path(context.studies, version.image, version.tag, version.ext)
    mask = mask_path(context.studies, version)
    try:
        if version.ext not in EXTENSIONS or sha256(copy) != version.sha256:
            return False
    except OSError:
        return False  # missing or unreadable
    with atomic.staged(mask.parent) as part:
        atomic.copy(copy, part)
        atomic.move(part, mask)
    logger.warning("A label's file was damaged or missing. It was restored from its copy in labels/.")
    return True


def _left_alone(context: Context, file: Path, seen: Row | None) -> bool:
    """Whether a file was, or may have been, placed by hand; its folder is then scanned again."""
    try:
        if not file.is_file() or _ours(context, file, seen):
            return False
        os.utime(file.parent)  # overwriting a file does not change its folder's mtime
    except OSError:
        logger.warning("A file in labels/ cannot be read, or its folder not be written; it is kept.")
    return True


def _ours(context: Context, target: Path, seen: Row | None) -> bool:
    """Whether a file is a copy of some version of its image and tag, not placed by hand."""
    stat = target.stat()
    if seen and (seen.name, seen.mtime, seen.size) == (target.name, stat.st_mtime_ns, stat.st_size):
        return True
    digest = sha256(target)
    image, table = split_name(target.name)[0], schema.versions.c
    with context.index.reading() as connection:
        query = select(table.record).where(table.image == image, table.tag == target.parent.name)
        return any(version.sha256 == digest for version in queries.read_versions(connection, query))


def _copy(context: Context, version: LabelVersion, target: Path) -> None:
    with atomic.staged(target.parent) as part:
        atomic.copy(mask_path(context.studies, version), part)
        atomic.move(part, target)
    note(context, version, target)


def note(context: Context, version: LabelVersion, target: Path) -> None:
    """Record the published copy of a version; a file with another size or mtime was placed by hand."""
    stat = target.stat()
    key = {"image": version.image, "tag": version.tag}
    file = {"name": target.name, "mtime": stat.st_mtime_ns, "size": stat.st_size}
    with context.index.writing() as connection:
        put(connection, schema.published, key, {"revision": version.revision, **file})
