"""Applies the events of the journal to the index."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

from sqlalchemy import Connection, delete, select, update

from uniultra.files.lock import WriteLock
from uniultra.store.index import schema
from uniultra.store.index.database import IndexDatabase, put
from uniultra.store.index.journal import Event, Journal
from uniultra.store.index.savepoint import fits

logger = logging.getLogger(__name__)
_PLACE = "journal"
_WORDS = ("image", "path", "tag", "annotator", "reason")


class Events:
    """Records events: in the journal first, then in the index.

    `removed` is called, in the same transaction, with the images of removed labels.
    """

    def __init__(
        self,
        journal: Journal,
        index: IndexDatabase,
        lock: WriteLock,
        removed: Callable[[Connection, set[str]], None],
    ) -> None:
        self._journal, self._index, self._lock, self._removed = journal, index, lock, removed

    def note(self, events: list[Event]) -> None:
        """Record events.

        Raises:
            RequestError: an event cannot be read back; nothing is recorded.
            OSError: the folder cannot be written.
        """
        with self._lock:
            self._journal.add(events)
            with self._index.writing() as connection:
                self.catch_up(connection)

    def mend(self, connection: Connection) -> None:
        """Quarantine damaged entries of the journal; the caller holds the write lock."""
        if self._journal.mend():
            self._index.set_value(connection, _PLACE, "0")  # the remaining entries are applied again

    def catch_up(self, connection: Connection) -> None:
        """Apply the entries of the journal that are not in the index yet: a process may have died in
        between."""
        place, length = int(self._index.value(connection, _PLACE) or 0), self._journal.length()
        if place > length:
            place = 0  # an older journal was restored; applying an event twice is harmless
        events = list(self._journal.since(place))
        done = _apply_all(connection, events)
        if len(done) < len(events):
            unfit = len(events) - len(done)
            logger.warning("%d entries of the journal cannot be applied; they are skipped.", unfit)
        lost = {event["image"] for event in done if event["kind"] == "label removed"}
        self._removed(connection, lost)
        self._index.set_value(connection, _PLACE, str(length))


def apply(connection: Connection, event: Event) -> bool:
    """Apply one event to the index; an unknown kind changes nothing.

    False, without any change, for an event that cannot be applied: it was edited by hand, or has values that
    the database cannot store.
    """
    return fits(connection, lambda: _change(connection, event))


def _apply_all(connection: Connection, events: list[Event]) -> list[Event]:
    """Apply events in order; the applied ones."""

    def together() -> None:
        for event in events:
            _change(connection, event)

    # thousands of images may be added at once: one by one only if an entry is bad
    return events if fits(connection, together) else [event for event in events if apply(connection, event)]


def _change(connection: Connection, event: Event) -> None:
    if change := _CHANGES.get(event["kind"]):
        if not all(isinstance(event.get(word, ""), str) for word in _WORDS):
            raise TypeError("not a word")
        change(connection, event)


def _image(connection: Connection, event: Event) -> None:
    info, added = json.dumps(event.get("info", {})), event.get("added") is True
    values = {"path": str(event["path"]), "added": added, "info": info}
    put(connection, schema.images, {"id": event["image"]}, values)


def _image_info(connection: Connection, event: Event) -> None:
    row = schema.images.c.id == event["image"]
    old = connection.execute(select(schema.images.c.info).where(row)).scalar()
    if old is not None:
        info = json.dumps({**json.loads(old), **event["info"]})
        connection.execute(update(schema.images).where(row).values(info=info))


def _image_removed(connection: Connection, event: Event) -> None:
    connection.execute(delete(schema.images).where(schema.images.c.id == event["image"]))
    for table in (schema.removals, schema.infos, schema.leases, schema.skips):
        connection.execute(delete(table).where(table.c.image == event["image"]))


def _label_removed(connection: Connection, event: Event) -> None:
    key = {"image": event["image"], "tag": event["tag"]}
    put(connection, schema.removals, key, {"revision": int(event["revision"])})
    table = schema.versions
    connection.execute(
        update(table)
        .where(table.c.image == key["image"], table.c.tag == key["tag"])
        .where(table.c.revision <= int(event["revision"]))
        .values(hidden=True)
    )


def _label_info(connection: Connection, event: Event) -> None:
    table = schema.infos
    key = {"image": event["image"], "revision": int(event["revision"])}
    old = connection.execute(
        select(table.c.info).where(table.c.image == key["image"], table.c.revision == key["revision"])
    ).scalar()
    put(connection, table, key, {"info": json.dumps({**json.loads(old or "{}"), **event["info"]})})


def _skip(connection: Connection, event: Event) -> None:
    key = {"image": event["image"], "frame": int(event["frame"]), "annotator": event["annotator"]}
    put(connection, schema.skips, key, {"reason": event["reason"], "made": float(event["made"])})


_CHANGES: dict[str, Callable[[Connection, Event], None]] = {
    "image": _image,
    "image info": _image_info,
    "image removed": _image_removed,
    "label removed": _label_removed,
    "label info": _label_info,
    "skip": _skip,
}
