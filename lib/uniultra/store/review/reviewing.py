"""The review list: each annotator's newest final label of each image, by state."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Select, func, select

from uniultra.store.context import Context
from uniultra.store.index import schema
from uniultra.store.types import FINAL, LabelVersion, State


class Listed(NamedTuple):
    """A label and its current state."""

    version: LabelVersion
    state: State


def counts(context: Context) -> dict[State, int]:
    """Number of these labels in each state."""
    state = schema.versions.c.state
    query = _newest(state, func.count()).group_by(state)
    with context.index.reading() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def listed(context: Context, states: Collection[str], *, limit: int = 100, offset: int = 0) -> list[Listed]:
    """These labels in any of `states`, by image and annotator: at most `limit`, skipping `offset`."""
    table = schema.versions.c
    query = _newest(table.record, table.state).where(table.state.in_(list(states)))
    query = query.order_by(table.image, table.annotator).limit(limit).offset(offset)
    with context.index.reading() as connection:
        return [
            Listed(LabelVersion.model_validate_json(record), state)
            for record, state in connection.execute(query)
        ]


def _newest(*columns: Any) -> Select[Any]:
    table = schema.versions.c
    newest = (
        select(table.image, func.max(table.revision).label("revision"))
        .where(table.tag == FINAL, table.hidden.is_(False))
        .group_by(table.image, table.annotator)
        .subquery()
    )
    same = (table.image == newest.c.image) & (table.revision == newest.c.revision)
    return select(*columns).select_from(schema.versions).join(newest, same)
