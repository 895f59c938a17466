"""Units of work, and the work list: which units wait for a label."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, select

from uniultra.store.context import Context
from uniultra.store.index import schema
from uniultra.store.types import WHOLE, State, Unit

DONE = ("final", "approved", "flagged")


class Done(NamedTuple):
    """A frame (or WHOLE) that an annotator has labelled."""

    frame: int
    annotator: str
    revision: int
    state: State


class WorkList:
    """A snapshot of all work, leases and skips."""

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
        """Whether enough readers have labelled a unit, or a reviewer approved a label of it."""
        states = list(self.states(unit).values())
        return "approved" in states or sum(state in DONE for state in states) >= self._readers

    def waits(self, unit: Unit) -> bool:
        """Whether a unit may be leased to some annotator."""
        states = self.states(unit)
        busy = {annotator for annotator, state in states.items() if state in DONE}
        return not self.done(unit) and len(busy | self.leased.get(unit, set())) < self._readers

    def waits_for(self, unit: Unit, annotator: str) -> bool:
        """Whether a unit may be leased to this annotator."""
        return (
            self.waits(unit)
            and self.left_to(unit, annotator)
            and annotator not in self.leased.get(unit, ())
            and (unit, annotator) not in self._skipped
        )

    def left_to(self, unit: Unit, annotator: str) -> bool:
        """Whether this annotator has yet to label a unit, leased or not."""
        return not self.done(unit) and self.states(unit).get(annotator) not in DONE

    def returned_to(self, unit: Unit) -> set[str]:
        """The annotators whose label of a unit was returned by a reviewer."""
        return {annotator for annotator, state in self.states(unit).items() if state == "returned"}


class Units:
    """The units of the existing images."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def all(self, *, wait: bool = True) -> list[Unit]:
        """All units, in the order of their ids.

        Args:
            wait: open new cines to count their frames. With False, such a cine has one unit, its first
                frame, until it has been counted in the background.
        """
        step = self._context.campaign.frame_step
        ids = self._context.images.listed()
        if step is None:
            return [Unit(image, 0) for image in ids]
        frame_counts = self._context.frame_counts
        counts = frame_counts.of(ids) if wait else frame_counts.known(ids)
        return [Unit(image, frame) for image in ids for frame in range(0, counts.get(image, 1), step)]

    def unlabelled(self, annotator: str | None, *, wait: bool = True) -> list[Unit]:
        """Units that wait for a label by anyone, or by one annotator."""
        units = self.all(wait=wait)
        with self._context.index.reading() as connection:
            work = work_list(self._context, connection)
        if annotator is None:
            return [unit for unit in units if work.waits(unit)]
        return [unit for unit in units if work.waits_for(unit, annotator)]

    def finished(self) -> set[Unit]:
        """Every frame whose newest label is final or approved, WHOLE as frame 0; campaign's unit or not."""
        table = schema.work.c
        query = select(table.image, table.frame).where(table.state.in_(("final", "approved")))
        with self._context.index.reading() as connection:
            return {Unit(image, 0 if frame == WHOLE else frame) for image, frame in connection.execute(query)}


def work_list(context: Context, connection: Connection) -> WorkList:
    """The work list as of a transaction."""
    campaign, now = context.campaign, context.now().timestamp()
    return WorkList(connection, now, campaign.readers, any_frame=campaign.frame_step is None)
