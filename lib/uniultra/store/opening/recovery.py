"""Updates the index from the files, and quarantines files left half-written by a crash."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Connection, select

from uniultra.store import quarantine
from uniultra.store.context import Context
from uniultra.store.index import rows, schema
from uniultra.store.labels.examine import ImageFolder, indexed
from uniultra.store.paths import LABELS

_PART = ".*.part"
_ABANDONED_S = 3600.0
_HISTORIES = "one line"  # key in the index: the `one_history` that its work rows were computed for


def recover(context: Context, *, repair: bool = True) -> None:
    """Update the index from every file; the caller holds the write lock.

    With `repair`, damaged files are quarantined; without, nothing is written to the folder.
    """
    root = context.private / "versions"
    if repair:
        _sweep(context)
    with context.index.writing() as connection:
        if repair:
            context.events.mend(connection)
        context.events.catch_up(connection)
        known = indexed(connection)
        folders = [path.name for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
        changed = set(known) - set(folders)
        for image in changed:
            for revision in known[image][0]:
                rows.drop_version(connection, image, revision)
        for image in folders:
            if ImageFolder(context, connection, image, *known[image], repair=repair).enter():
                changed.add(image)
        context.recount(connection, changed)
        recount(context, connection)


def recount(context: Context, connection: Connection) -> None:
    """Recompute all work rows if they were computed for another kind of history."""
    one_history = str(context.one_history)
    if context.index.value(connection, _HISTORIES) != one_history:
        every = connection.execute(select(schema.versions.c.image).distinct()).scalars().all()
        context.recount(connection, every)
        context.index.set_value(connection, _HISTORIES, one_history)


def _sweep(context: Context) -> None:
    """Quarantine half-written files: while the lock is held, no process is writing them."""
    root, private = context.studies, context.private
    places = [private, private / "versions", *_folders(private / "versions"), *_folders(root / LABELS)]
    parts = [part for place in places for part in place.glob(_PART)] if private.is_dir() else []
    # images are copied into the folder without the lock
    parts += [part for part in root.glob(_PART) if time.time() - part.stat().st_mtime > _ABANDONED_S]
    for part in parts:
        quarantine.add(private, [part], "half written")


def _folders(path: Path) -> Iterable[Path]:
    return [child for child in path.iterdir() if child.is_dir()] if path.is_dir() else []
