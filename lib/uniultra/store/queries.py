"""Queries for versions, reviews and skips; they read the index only, never a file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Select, func, select

from uniultra.store.catalogue.ids import is_text
from uniultra.store.context import Context
from uniultra.store.errors import NotFoundError
from uniultra.store.index import schema
from uniultra.store.types import MAX_INDEX, LabelVersion, Review, State, Unit

_VERSIONS = schema.versions.c


def versions(context: Context, image: str | None = None) -> list[LabelVersion]:
    """All versions, of one image or of all, by image and revision; without removed labels."""
    query = select(_VERSIONS.record).where(_VERSIONS.hidden.is_(False))
    if image is not None:
        query = query.where(_VERSIONS.image == image)
    with context.index.reading() as connection:
        return read_versions(connection, query.order_by(_VERSIONS.image, _VERSIONS.revision))


def version(context: Context, image: str, revision: int) -> LabelVersion:
    """One version.

    Raises:
        NotFoundError: no such version.
    """
    versions: list[LabelVersion] = []
    if 0 < revision <= MAX_INDEX and is_text(image):
        query = select(_VERSIONS.record).where(_VERSIONS.image == image, _VERSIONS.revision == revision)
        with context.index.reading() as connection:
            versions = read_versions(connection, query.where(_VERSIONS.hidden.is_(False)))
    if not versions:
        raise NotFoundError(
            "This image has no label of that revision. Ask GET /labels/{image} for the existing ones."
        )
    return versions[0]


def current(context: Context, images: Iterable[str] | None = None) -> dict[tuple[str, str], LabelVersion]:
    """The newest version of each image and tag."""
    newest = select(_VERSIONS.image, func.max(_VERSIONS.revision).label("revision"))
    newest = newest.where(_VERSIONS.hidden.is_(False))
    if images is not None:
        newest = newest.where(_VERSIONS.image.in_(list(images)))
    of_tag = newest.group_by(_VERSIONS.image, _VERSIONS.tag).subquery()
    same = (_VERSIONS.image == of_tag.c.image) & (_VERSIONS.revision == of_tag.c.revision)
    with context.index.reading() as connection:
        versions = read_versions(connection, select(_VERSIONS.record).join(of_tag, same))
    return {(version.image, version.tag): version for version in versions}


def states(context: Context, image: str | None = None) -> dict[tuple[str, int], State]:
    """The state of every version, by image and revision."""
    query = select(_VERSIONS.image, _VERSIONS.revision, _VERSIONS.state)
    if image is not None:
        query = query.where(_VERSIONS.image == image)
    with context.index.reading() as connection:
        return {(row.image, row.revision): row.state for row in connection.execute(query)}


def reviews(context: Context, image: str, revision: int | None = None) -> list[Review]:
    """The reviews of an image, or of one of its versions, in order."""
    table = schema.reviews.c
    query = select(table.record).where(table.image == image).order_by(table.revision, table.number)
    if revision is not None:
        query = query.where(table.revision == revision)
    with context.index.reading() as connection:
        return [Review.model_validate_json(record) for record in connection.execute(query).scalars()]


def skipped(context: Context) -> dict[Unit, dict[str, str]]:
    """Skipped units, with the reason of each annotator."""
    table = schema.skips.c
    reasons: dict[Unit, dict[str, str]] = {}
    with context.index.reading() as connection:
        for row in connection.execute(select(table.image, table.frame, table.annotator, table.reason)):
            reasons.setdefault(Unit(row.image, row.frame), {})[row.annotator] = row.reason
    return reasons


def read_versions(connection: Connection, query: Select[Any]) -> list[LabelVersion]:
    """The versions whose `record` a query selects."""
    return [LabelVersion.model_validate_json(record) for record in connection.execute(query).scalars()]
