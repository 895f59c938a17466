"""Units of work: which there are, and which wait for a label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, select, update

from uniultra.store.catalogue.frames import cine_frames
from uniultra.store.errors import NotFoundError
from uniultra.store.index import schema
from uniultra.store.types import State, Unit
from uniultra.store.work.progress import WHOLE

if TYPE_CHECKING:
    from uniultra.store.store import LabelStore

_DONE = ("final", "approved", "flagged")


class Done(NamedTuple):
    """A frame (or WHOLE) that an annotator has labelled."""

    frame: int
    annotator: str
    revision: int
    state: State


class Board:
    """All work, leases and skips at one moment."""

    def __init__(self, connection: Connection, now: float, readers: int, *, any_frame: bool) -> None:
        self._readers, self._any_frame = readers, any_frame
        self._work: dict[str, list[Done]] = {}
        for image, frame, annotator, revision, state in connection.execute(select(schema.work)):
            self._work.setdefault(image, []).append(Done(frame, annotator, revision, state))
        table = schema.leases.c
        self.leased: dict[Unit, set[str]] = {}
        rows = connection.execute(select(table.image, table.frame, table.annotator).where(table.until > now))
        for image, frame, annotator in rows:
            self.leased.setdefault(Unit(image, frame), set()).add(annotator)
        skips = schema.skips.c
        self._skipped = {
            (Unit(row.image, row.frame), row.annotator)
            for row in connection.execute(select(skips.image, skips.frame, skips.annotator))
        }

    def states(self, unit: Unit) -> dict[str, State]:
        """The state of each annotator's newest label of a unit."""
        newest: dict[str, Done] = {}
        for done in self._work.get(unit.image, ()):
            if not (self._any_frame or done.frame in (unit.frame, WHOLE)):
                continue
            if done.annotator not in newest or newest[done.annotator].revision < done.revision:
                newest[done.annotator] = done
        return {annotator: done.state for annotator, done in newest.items()}

    def done(self, unit: Unit) -> bool:
        """Whether enough readers have labelled it, or a reviewer approved a label of it."""
        states = list(self.states(unit).values())
        return "approved" in states or sum(state in _DONE for state in states) >= self._readers

    def waits(self, unit: Unit) -> bool:
        """Whether it may be given to somebody."""
        states = self.states(unit)
        busy = {annotator for annotator, state in states.items() if state in _DONE}
        return not self.done(unit) and len(busy | self.leased.get(unit, set())) < self._readers

    def waits_for(self, unit: Unit, annotator: str) -> bool:
        """Whether it may be given to this annotator."""
        return (
            self.waits(unit)
            and self.left_to(unit, annotator)
            and annotator not in self.leased.get(unit, ())
            and (unit, annotator) not in self._skipped
        )

    def left_to(self, unit: Unit, annotator: str) -> bool:
        """Whether there is still something for this annotator to label, leased or not."""
        return not self.done(unit) and self.states(unit).get(annotator) not in _DONE

    def returned_to(self, unit: Unit) -> set[str]:
        """The annotators whose label of it a reviewer returned."""
        return {annotator for annotator, state in self.states(unit).items() if state == "returned"}


class Units:
    """The units of the images there are; their frames are counted once per version of a file."""

    def __init__(self, store: LabelStore) -> None:
        self._store = store

    def all(self) -> list[Unit]:
        """All units, in the order of their ids."""
        step = self._store.campaign.frame_step
        ids = self._store.images.listed()
        if step is None:
            return [Unit(image, 0) for image in ids]
        counts = self.frames(ids)
        return [Unit(image, frame) for image in ids for frame in range(0, counts.get(image, 1), step)]

    def unlabelled(self, annotator: str | None) -> list[Unit]:
        """Those that wait, for anybody or for one annotator."""
        units = self.all()
        with self._store.index.reading() as connection:
            board = self.board(connection)
        if annotator is None:
            return [unit for unit in units if board.waits(unit)]
        return [unit for unit in units if board.waits_for(unit, annotator)]

    def finished(self) -> set[Unit]:
        """Every frame whose newest label is final or approved, WHOLE as frame 0; campaign's unit or not."""
        table = schema.work.c
        query = select(table.image, table.frame).where(table.state.in_(("final", "approved")))
        with self._store.index.reading() as connection:
            return {Unit(image, 0 if frame == WHOLE else frame) for image, frame in connection.execute(query)}

    def board(self, connection: Connection) -> Board:
        """Everything about work at this moment."""
        campaign = self._store.campaign
        now = self._store.now().timestamp()
        return Board(connection, now, campaign.readers, any_frame=campaign.frame_step is None)

    def frames(self, images: Iterable[str], paths: Mapping[str, Path] | None = None) -> dict[str, int]:
        """How many frames each image has, if it is a cine; 1 for all others."""
        wanted = list(images)
        table = schema.images
        query = select(table.c.id, table.c.stamp, table.c.frames)
        if len(wanted) == 1:
            query = query.where(table.c.id == wanted[0])
        with self._store.index.reading() as connection:
            known = {row.id: (row.stamp, row.frames) for row in connection.execute(query)}
        counts: dict[str, int] = {}
        fresh: dict[str, tuple[str, int]] = {}
        for image in wanted:
            try:
                path = (paths or {}).get(image) or self._store.images.path(image)
                stat = path.stat()
            except (OSError, NotFoundError):
                continue
            stamp = f"{stat.st_mtime_ns}:{stat.st_size}"
            old, frames = known.get(image, (None, None))
            if old != stamp or frames is None:
                frames = cine_frames(path)
                fresh[image] = (stamp, frames)
            counts[image] = frames
        if fresh:
            with self._store.index.writing() as connection:
                for image, (stamp, frames) in fresh.items():
                    values = {"stamp": stamp, "frames": frames}
                    connection.execute(update(table).where(table.c.id == image).values(**values))
        return counts
