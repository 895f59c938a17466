"""Adopts label files placed by hand in `labels/<tag>/` as versions."""

from __future__ import annotations

import time
from pathlib import Path

from sqlalchemy import select

from uniultra.errors import RequestError
from uniultra.files.checksummed import sha256
from uniultra.store import quarantine, queries
from uniultra.store.context import Context
from uniultra.store.errors import NotFoundError
from uniultra.store.index import schema
from uniultra.store.labels import published_copies
from uniultra.store.labels.files import check_decodable, found_on_disk
from uniultra.store.labels.saving import Draft, Saving
from uniultra.store.paths import label_path

_BEING_COPIED_S = 60.0


def adopt(context: Context, saving: Saving) -> bool:
    """Adopt the files in `labels/` that are not published copies.

    A file that cannot be decoded is quarantined when it is older than a minute; until then it may still be
    being copied. Returns whether there is such a file, so that this has to be called again.
    """
    if context.index.memory_only:
        return False
    with context.index.reading() as connection:
        published = {
            (row.image, row.tag): (row.name, row.mtime, row.size)
            for row in connection.execute(select(schema.published))
        }
        ids = set(connection.execute(select(schema.images.c.id)).scalars())
    waiting = False
    files = found_on_disk(context.studies)
    for image, tags in files.items():
        for tag, ext in tags.items() if image in ids else ():
            path = label_path(context.studies, image, tag, ext)
            if published.get((image, tag)) != _seen(path):
                waiting |= _adopt_file(context, saving, image, tag, path)
    if set(published) - {(image, tag) for image, tags in files.items() for tag in tags}:
        with context.lock:
            published_copies.publish(context)
    return waiting


def _adopt_file(context: Context, saving: Saving, image: str, tag: str, path: Path) -> bool:
    """Adopt one file; whether it has to be tried again."""
    with context.lock:
        version = queries.current(context, [image]).get((image, tag))
        try:
            if version is not None and sha256(path) == version.sha256:
                published_copies.note(context, version, path)
                return False
            context.images.path(image)
            check_decodable(path)
            saving.save(Draft(image, path, tag, info={"by_hand": True}))
        except NotFoundError:
            return False  # its image was deleted
        except RequestError:
            if time.time() - path.stat().st_mtime < _BEING_COPIED_S:
                return True
            reason: quarantine.Reason = "label file cannot be decoded"
            quarantine.add(context.private, [path], reason, image)
            published_copies.publish(context, [image])
        except FileNotFoundError:
            return False  # deleted meanwhile
    return False


def _seen(path: Path) -> tuple[str, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return path.name, stat.st_mtime_ns, stat.st_size
