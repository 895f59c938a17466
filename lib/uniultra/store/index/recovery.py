"""The index brought up to date with the files, and what a crash left put aside."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from uniultra.errors import RequestError
from uniultra.store.catalogue.ids import check_id
from uniultra.store.catalogue.scan import LABELS, PRIVATE
from uniultra.store.index import rows, schema
from uniultra.store.index.events import apply
from uniultra.store.index.savepoint import fits
from uniultra.store.labels import published_copies, quarantine, records
from uniultra.store.labels.quarantine import Reason
from uniultra.store.types import LabelVersion, Review
from uniultra.store.work import progress

if TYPE_CHECKING:
    from uniultra.store.store import LabelStore

_PART = ".*.part"
_ABANDONED_S = 3600.0
_UNREAD = "The newest review of this label was damaged and put aside. Review the label again."


@dataclass
class _Seen:
    """What the index knows of an image's folder, and what lies in it."""

    image: str
    folder: Path
    known: dict[int, str]
    reviewed: set[tuple[int, int]]
    names: dict[str, Path] = field(default_factory=dict)


def recover(store: LabelStore, *, repair: bool = True) -> None:
    """Bring the index up to date with every file; the caller holds the write lock.

    With `repair` what cannot be trusted goes to the quarantine; without it nothing is written to the folder.
    """
    root = store.private / "versions"
    if repair:
        _sweep(store)
    with store.index.writing() as connection:
        if repair:
            store.events.mend(connection)
        store.events.catch_up(connection)
        known, reviewed = _known(connection)
        folders = [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
        changed = set(known) - {path.name for path in folders}
        for image in changed:
            for revision in known[image]:
                rows.drop_version(connection, image, revision)
        for path in folders:
            seen = _Seen(path.name, path, known.get(path.name, {}), reviewed.get(path.name, set()))
            if _examine(store, connection, seen, repair):
                changed.add(path.name)
        progress.recount(connection, changed, one_line=store.one_line)
        recount(store, connection)


def recount(store: LabelStore, connection: Connection) -> None:
    """Count the work on all images again if it was counted for another kind of lines."""
    one_line = str(store.one_line)
    if store.index.value(connection, "one line") != one_line:
        every = connection.execute(select(schema.versions.c.image).distinct()).scalars().all()
        progress.recount(connection, every, one_line=store.one_line)
        store.index.set_value(connection, "one line", one_line)


def recover_image(store: LabelStore, connection: Connection, image: str) -> None:
    """The same for one image, whose folder holds more than the index knows."""
    known, reviewed = _known(connection, image)
    seen = _Seen(
        image, records.folder(store.studies, image), known.get(image, {}), reviewed.get(image, set())
    )
    if _examine(store, connection, seen, repair=True):
        progress.recount(connection, [image], one_line=store.one_line)


def _known(
    connection: Connection, image: str | None = None
) -> tuple[dict[str, dict[int, str]], dict[str, set[tuple[int, int]]]]:
    table, reviews = schema.versions.c, schema.reviews.c
    query = select(table.image, table.revision, table.stamp)
    other = select(reviews.image, reviews.revision, reviews.number)
    if image is not None:
        query, other = query.where(table.image == image), other.where(reviews.image == image)
    known: dict[str, dict[int, str]] = {}
    for row in connection.execute(query):
        known.setdefault(row.image, {})[row.revision] = row.stamp
    reviewed: dict[str, set[tuple[int, int]]] = {}
    for of, revision, number in connection.execute(other):
        reviewed.setdefault(of, set()).add((revision, number))
    return known, reviewed


def _examine(store: LabelStore, connection: Connection, seen: _Seen, repair: bool) -> bool:
    """Compare one image's folder with the index; whether anything was different."""
    seen.names = {path.name: path for path in seen.folder.iterdir() if not path.name.startswith(".")}
    masks = {int(m[1]): p for n, p in seen.names.items() if (m := records.MASK.fullmatch(n))}
    recorded = {int(m[1]): p for n, p in seen.names.items() if (m := records.RECORD.fullmatch(n))}
    different = False
    for revision, path in sorted(recorded.items()):
        mask = masks.get(revision)
        if mask is not None and rows.file_stamp(mask, path) == seen.known.get(revision):
            continue
        different = True
        rows.drop_version(connection, seen.image, revision)
        seen.reviewed -= {pair for pair in seen.reviewed if pair[0] == revision}
        reason = _enter(store, connection, seen.image, path, mask, repair)
        if reason and repair:
            _aside(store, connection, seen, revision, reason)
    for revision in set(seen.known) - set(recorded):
        different = True
        rows.drop_version(connection, seen.image, revision)
    for revision in sorted(set(masks) - set(recorded)):
        if repair:
            _aside(store, connection, seen, revision, "mask without a record")
    return _enter_reviews(store, connection, seen, repair) or different


def _enter(
    store: LabelStore, connection: Connection, image: str, path: Path, mask: Path | None, repair: bool
) -> Reason | None:
    """Enter a version into the index, or say why it cannot be trusted.

    With `repair` a damaged mask is put right first, where its copy in `labels/` is whole.
    """
    try:
        version = records.read_version(path)
    except records.NewerRecordError:
        return None  # left as it is for the program that wrote it
    except ValueError:
        return "record damaged"
    if version.image != image or path.stem != str(version.revision):
        return "record damaged"
    reason: Reason | None = None
    if mask is None or mask.name != f"{version.revision}{version.ext}":
        reason = "record without its mask"
    elif records.sha256(mask) != version.sha256:
        reason = "mask has another checksum"
    if reason and not (repair and published_copies.put_right(store, version)):
        return reason

    def enter() -> None:
        _enter_image(connection, version)
        rows.insert_version(connection, store.studies, version)

    return None if fits(connection, enter) else "record damaged"


def _enter_image(connection: Connection, version: LabelVersion) -> None:
    """The image of a version, where the journal no longer says which id a path had."""
    table = schema.images.c
    if connection.execute(select(table.id).where(table.id == version.image)).first() is None:
        try:
            check_id(version.image)
        except RequestError:
            return
        apply(connection, {"kind": "image", "image": version.image, "path": version.source})


def _enter_reviews(store: LabelStore, connection: Connection, seen: _Seen, repair: bool) -> bool:
    table = schema.versions.c
    there = set(connection.execute(select(table.revision).where(table.image == seen.image)).scalars())
    different = False
    damaged: dict[int, int] = {}
    found = {(int(m[1]), int(m[2])): p for n, p in seen.names.items() if (m := records.REVIEW.fullmatch(n))}
    for (revision, number), path in sorted(found.items()):
        if revision not in there or not path.exists():
            continue
        if (revision, number) in seen.reviewed:
            damaged.pop(revision, None)
            continue
        try:
            review = records.read_review(path)
        except records.NewerRecordError:
            continue
        except ValueError:
            damaged[revision] = number
            if repair:
                quarantine.put_aside(store.private, [path], "record damaged", seen.image, revision)
            continue
        different = True
        damaged.pop(revision, None)  # whatever it said, a later one counts
        rows.insert_review(connection, review, number)
    for revision, number in damaged.items():
        different = True
        _flag(store, connection, seen, revision, number, repair)
    return different


def _flag(
    store: LabelStore, connection: Connection, seen: _Seen, revision: int, number: int, repair: bool
) -> None:
    """Flag a version whose newest review cannot be read: it may have been returned."""
    review = Review(
        image=seen.image, revision=revision, state="flagged", reviewer="", comment=_UNREAD, made=store.now()
    )
    if repair:  # in the place of the one that was put aside: the next review comes after it
        records.write(records.review_path(store.studies, seen.image, revision, number), review)
    rows.insert_review(connection, review, number)


def _aside(store: LabelStore, connection: Connection, seen: _Seen, revision: int, reason: Reason) -> None:
    start = f"{revision}."
    files = [path for name, path in sorted(seen.names.items()) if name.startswith(start)]
    quarantine.put_aside(store.private, files, reason, seen.image, revision)
    rows.used(connection, seen.image, revision)


def _sweep(store: LabelStore) -> None:
    """Put half-written files aside: whoever holds the lock knows that nobody is writing them."""
    root, private = store.studies, store.studies / PRIVATE
    mine = [private, private / "versions", *_folders(private / "versions"), *_folders(root / LABELS)]
    found = [part for place in mine for part in place.glob(_PART)] if private.is_dir() else []
    # images are copied into the folder without the lock
    found += [part for part in root.glob(_PART) if time.time() - part.stat().st_mtime > _ABANDONED_S]
    for part in found:
        quarantine.put_aside(private, [part], "half written")


def _folders(path: Path) -> Iterable[Path]:
    return [child for child in path.iterdir() if child.is_dir()] if path.is_dir() else []
