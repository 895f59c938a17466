"""Leases of units, with two clocks: work renews the idle clock, nothing renews the total one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import Connection, Row, and_, case, delete, literal, select, update

from uniultra.errors import RequestError
from uniultra.store.catalogue.ids import check_name, is_text
from uniultra.store.context import Context
from uniultra.store.errors import NotFoundError
from uniultra.store.index import schema
from uniultra.store.index.database import put
from uniultra.store.types import MAX_INDEX, Lease, Unit
from uniultra.store.work.units import WorkList, work_list

_MAX_REASON = 500


class Leases:
    """Leases of units to annotators. Each operation is one exclusive writing transaction."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def claim(self, order: Iterable[Unit], annotator: str) -> Lease | None:
        """Lease the first free unit; units returned to the annotator come before all others."""
        context, table = self._context, schema.leases
        check_name(annotator, "the annotator's name")
        units = list(order)
        with context.index.writing() as connection:
            now = context.now().timestamp()
            connection.execute(delete(table).where(table.c.until <= now))
            work = work_list(context, connection)
            for unit in _in_turn(units, work, annotator):
                if work.waits_for(unit, annotator):
                    return self._give(connection, unit, annotator, now)
            held = connection.execute(
                select(table).where(table.c.annotator == annotator).order_by(table.c.since)
            ).all()
            for row in held:
                if work.left_to(Unit(row.image, row.frame), annotator):
                    return self._prolong(connection, row, now)
            return None

    def _give(self, connection: Connection, unit: Unit, annotator: str, now: float) -> Lease:
        campaign = self._context.campaign
        ends = now + 60 * campaign.lease_max_minutes
        until = min(now + 60 * campaign.lease_minutes, ends)
        key = {"image": unit.image, "frame": unit.frame, "annotator": annotator}
        put(connection, schema.leases, key, {"since": now, "until": until, "ends": ends})
        return _lease(unit, annotator, now, until, ends)

    def _prolong(self, connection: Connection, row: Row, now: float) -> Lease:
        until = min(now + 60 * self._context.campaign.lease_minutes, row.ends)
        connection.execute(
            update(schema.leases).where(_of(Unit(row.image, row.frame), row.annotator)).values(until=until)
        )
        return _lease(Unit(row.image, row.frame), row.annotator, row.since, until, row.ends)

    def renew(self, unit: Unit, annotator: str) -> Lease:
        """Renew the idle clock of a current lease."""
        _check(unit, annotator)
        context, table = self._context, schema.leases
        with context.index.writing() as connection:
            now = context.now().timestamp()
            row = connection.execute(select(table).where(_of(unit, annotator), table.c.until > now)).first()
            if row is None:
                raise NotFoundError("This lease has ended or never existed. Ask for the next sample.")
            return self._prolong(connection, row, now)

    def touch(self, image: str, annotator: str) -> None:
        """Renew the idle clock of all leases of an annotator on an image."""
        _check(Unit(image, 0), annotator)
        context, table = self._context, schema.leases.c
        with context.index.writing() as connection:
            now = context.now().timestamp()
            idle = literal(now + 60 * context.campaign.lease_minutes)
            connection.execute(
                update(schema.leases)
                .where(table.image == image, table.annotator == annotator, table.until > now)
                .values(until=case((table.ends < idle, table.ends), else_=idle))
            )

    def release(self, unit: Unit, annotator: str) -> None:
        """End a lease."""
        _check(unit, annotator)
        with self._context.index.writing() as connection:
            connection.execute(delete(schema.leases).where(_of(unit, annotator)))

    def skip(self, unit: Unit, annotator: str, reason: str) -> None:
        """Record permanently that this annotator skipped a unit, and why."""
        _check(unit, annotator)
        reason = reason.strip() if isinstance(reason, str) else ""
        if not 0 < len(reason) <= _MAX_REASON or not is_text(reason):
            examples = ", ".join(self._context.campaign.skip_reasons)
            raise RequestError(
                f"Expected a reason of 1 to {_MAX_REASON} plain characters for skipping; got another. Say "
                f"why, for example: {examples}."
            )
        self._context.images.path(unit.image)
        event = {"kind": "skip", **unit._asdict(), "annotator": annotator, "reason": reason}
        self._context.events.note([event | {"made": self._context.now().timestamp()}])
        self.release(unit, annotator)

    def running(self) -> list[Lease]:
        """The current leases, oldest first."""
        table = schema.leases
        now = self._context.now().timestamp()
        with self._context.index.reading() as connection:
            rows = connection.execute(
                select(table).where(table.c.until > now).order_by(table.c.since, table.c.image, table.c.frame)
            ).all()
        return [
            _lease(Unit(row.image, row.frame), row.annotator, row.since, row.until, row.ends) for row in rows
        ]


def _check(unit: Unit, annotator: str) -> None:
    """Refuse an invalid unit or annotator before anything is stored."""
    check_name(annotator, "the annotator's name")
    if not 0 <= unit.frame <= MAX_INDEX:
        raise RequestError(
            f"Expected a frame from 0 to {MAX_INDEX}; got another number. Ask for the next sample."
        )
    if not is_text(unit.image):
        raise NotFoundError("There is no image of that id. Ask for the next sample.")


def _in_turn(order: list[Unit], work: WorkList, annotator: str) -> list[Unit]:
    """Returned to the annotator first, returned to others last; the given order within each."""

    def place(unit: Unit) -> int:
        returned = work.returned_to(unit)
        return 0 if annotator in returned else 2 if returned else 1

    return sorted(order, key=place)


def _of(unit: Unit, annotator: str):  # type: ignore[no-untyped-def]
    table = schema.leases.c
    return and_(table.image == unit.image, table.frame == unit.frame, table.annotator == annotator)


def _lease(unit: Unit, annotator: str, since: float, until: float, ends: float) -> Lease:
    times = [datetime.fromtimestamp(moment, UTC) for moment in (since, until, ends)]
    return Lease(unit=unit, annotator=annotator, since=times[0], until=times[1], ends=times[2])
