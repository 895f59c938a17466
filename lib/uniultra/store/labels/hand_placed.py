"""Label files that people put into `labels/<tag>/` by hand become versions."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from uniultra.errors import RequestError
from uniultra.store.errors import NotFoundError
from uniultra.store.index import schema
from uniultra.store.labels import published_copies, quarantine, records
from uniultra.store.labels.files import check_decodable, found_on_disk, label_path

if TYPE_CHECKING:
    from uniultra.store.store import LabelStore

_BEING_COPIED_S = 60.0


def adopt(store: LabelStore) -> bool:
    """Take over what lies in `labels/` and is not the copy that the store put there.

    A file that cannot be decoded goes to the quarantine when it is older than a minute; until then it may
    still be on its way. Whether one is.
    """
    if store.index.memory_only:
        return False
    with store.index.reading() as connection:
        known = {
            (row.image, row.tag): (row.name, row.mtime, row.size)
            for row in connection.execute(select(schema.published))
        }
        ids = set(connection.execute(select(schema.images.c.id)).scalars())
    waiting = False
    there = found_on_disk(store.studies)
    for image, tags in there.items():
        for tag, ext in tags.items() if image in ids else ():
            path = label_path(store.studies, image, tag, ext)
            if known.get((image, tag)) != _seen(path):
                waiting |= _take(store, image, tag, path)
    if set(known) - {(image, tag) for image, tags in there.items() for tag in tags}:
        with store.lock:
            published_copies.publish(store)
    return waiting


def _take(store: LabelStore, image: str, tag: str, path: Path) -> bool:
    """Take one file over; whether it has to be looked at again."""
    with store.lock:
        version = store.current([image]).get((image, tag))
        try:
            if version is not None and records.sha256(path) == version.sha256:
                published_copies.note(store, version, path)
                return False
            store.images.path(image)
            check_decodable(path)
            store.save(image, path, tag=tag, info={"by_hand": True})
        except NotFoundError:
            return False  # its image is not there
        except RequestError:
            if time.time() - path.stat().st_mtime < _BEING_COPIED_S:
                return True
            reason: quarantine.Reason = "label file cannot be decoded"
            quarantine.put_aside(store.private, [path], reason, image)
            published_copies.publish(store, [image])
        except FileNotFoundError:
            return False  # gone meanwhile
    return False


def _seen(path: Path) -> tuple[str, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return path.name, stat.st_mtime_ns, stat.st_size
