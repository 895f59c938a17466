"""The images of a studies folder: their permanent ids, paths and metadata."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import Connection, select

from uniultra.files.lock import WriteLock
from uniultra.store.catalogue.ids import is_text, new_ids
from uniultra.store.catalogue.scan import Scanner
from uniultra.store.errors import NotFoundError
from uniultra.store.index import schema
from uniultra.store.index.database import IndexDatabase
from uniultra.store.index.events import Events, apply
from uniultra.store.index.journal import Event

logger = logging.getLogger(__name__)
FRESH_S = 1.0  # seconds between two checks of the folder for changes


@dataclass(frozen=True)
class ImageRecord:
    """One image: its path relative to the studies folder; `added` if the server wrote it."""

    path: str
    added: bool = False
    info: dict[str, Any] = field(default_factory=dict)


class Images:
    """The existing images; a change of the folder is noticed within a second of the next access.

    The owner opens the index before the first access, and passes the hook that adopts label files placed by
    hand: see `Context`.
    """

    def __init__(
        self,
        root: Path,
        index: IndexDatabase,
        events: Events,
        lock: WriteLock,
        scanner: Scanner,
        labels_changed: Callable[[], bool],
    ) -> None:
        self._root, self._index, self._events, self._lock = root, index, events, lock
        self.scanner = scanner
        self._labels_changed = labels_changed
        self._present: dict[str, PurePosixPath] = {}
        self._looked = -FRESH_S
        self._again = self._looking = self._known_once = False
        # taken before the write lock, see `context`
        self.turn = threading.RLock()

    def refresh(self) -> None:
        """Scan for added and deleted files, and assign ids to new ones."""
        with self.turn:
            self._take_in(self._scan)

    def _take_in(self, before: Callable[[], object]) -> None:
        if self._looking:  # called back while a label file is adopted
            return
        self._looking = True
        try:
            before()
            self._again = self._labels_changed()  # a file that is still being copied is tried again
            self._looked = time.monotonic()
        finally:
            self._looking = False

    def _scan(self) -> None:
        paths = self.scanner.files()
        with self._index.reading() as connection:
            by_path = _by_path(connection)
        if any(str(path) not in by_path for path in paths):
            by_path = self._adopt(paths)
        # without files that could not be assigned an id
        self._present = {by_path[name]: path for path in paths if (name := str(path)) in by_path}
        self._known_once = True
        self.scanner.labels_changed()

    def look(self) -> None:
        """Refresh if a second has passed and something has changed."""
        if self._fresh or self._lock.held:
            return
        with self.turn:
            if not self._fresh and not self._looking:
                self._looked = time.monotonic()  # not on every click: there may be thousands of folders
                if self.scanner.changed():
                    self.refresh()
                elif self.scanner.labels_changed() or self._again:
                    self._take_in(lambda: None)

    @property
    def _fresh(self) -> bool:
        """Whether the last scan is recent; False before the first scan has ended."""
        return self._known_once and time.monotonic() - self._looked < FRESH_S

    def _adopt(self, paths: list[PurePosixPath]) -> dict[str, str]:
        try:
            with self._lock:
                self._events.note(self._newcomers(paths))
        except OSError:
            logger.warning("The studies folder cannot be written: ids last until the server stops.")
            newcomers = self._newcomers(paths)
            with self._index.writing() as connection:
                for event in newcomers:
                    apply(connection, event)
        with self._index.reading() as connection:
            return _by_path(connection)

    def _newcomers(self, paths: list[PurePosixPath]) -> list[Event]:
        with self._index.reading() as connection:
            known = _by_path(connection)
            taken = set(connection.execute(select(schema.images.c.id)).scalars())
        new = new_ids([path for path in paths if str(path) not in known], taken)
        return [_event(image_id, str(path)) for path, image_id in new.items()]

    def listed(self) -> list[str]:
        """Ids of the existing images, sorted."""
        self.look()
        return sorted(self._present)

    def path(self, image_id: object) -> Path:
        """The file of an existing image.

        Raises:
            NotFoundError: no such image, or its file is gone.
        """
        self.look()
        if isinstance(image_id, str):
            path = self._present.get(image_id)
            if path is None and not self._lock.held and self.scanner.changed():
                self.refresh()
                path = self._present.get(image_id)
            path = path or self._indexed_path(image_id)
            if path and (inside := self.scanner.inside(path)):
                return inside
        raise NotFoundError(
            "There is no such image in the studies folder, or its file is gone. "
            "Ask /datastore/?output=all for the existing ids."
        )

    def _indexed_path(self, image_id: str) -> PurePosixPath | None:
        """The path in the index: another process may have just added the image."""
        if not is_text(image_id):
            return None
        with self._index.reading() as connection:
            path = connection.execute(
                select(schema.images.c.path).where(schema.images.c.id == image_id)
            ).scalar()
        return PurePosixPath(path) if path else None

    def record(self, image_id: object) -> ImageRecord:
        """The record of an existing image.

        Raises:
            NotFoundError: no such image, or its file is gone.
        """
        if not isinstance(image_id, str) or image_id not in self._present:
            self.path(image_id)
        record = self.records([str(image_id)]).get(str(image_id))
        if record is None:  # another process has deleted it
            self._present.pop(str(image_id), None)
            self.path(image_id)
            raise NotFoundError("This image has just been deleted.")
        return record

    def records(self, image_ids: Iterable[str] | None = None) -> dict[str, ImageRecord]:
        """Records of images, existing or deleted; of all images without `image_ids`."""
        table = schema.images.c
        query = select(table.id, table.path, table.added, table.info)
        if image_ids is not None:
            query = query.where(table.id.in_(list(image_ids)))
        with self._index.reading() as connection:
            rows = connection.execute(query).all()
        return {row.id: ImageRecord(row.path, row.added, json.loads(row.info)) for row in rows}

    def present(self, image_id: str, path: PurePosixPath | None) -> None:
        """List an image that was just added, or remove one that was just deleted (`path` None)."""
        if path is None:
            self._present.pop(image_id, None)
        else:
            self._present[image_id] = path


def _by_path(connection: Connection) -> dict[str, str]:
    return {row.path: row.id for row in connection.execute(select(schema.images.c.path, schema.images.c.id))}


def _event(image_id: str, path: str) -> Event:
    return {"kind": "image", "image": image_id, "path": path, "info": stamp(PurePosixPath(path).name)}


def stamp(name: str) -> dict[str, Any]:
    """Time of addition and file name, as MONAI Label stores them."""
    return {"ts": int(time.time()), "name": name}
