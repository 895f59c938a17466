"""Who has labelled which frame: the newest version of each line, counted again when a label changes."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, select

from uniultra.store.index import schema
from uniultra.store.types import LabelVersion

FINAL = "final"
WHOLE = -1


def recount(connection: Connection, images: Iterable[str], *, one_line: bool) -> None:
    """Fill the table `work` for these images again.

    With `one_line` a frame belongs to whoever saved its newest version, else each annotator has a line.
    """
    table, work = schema.versions.c, schema.work
    for image in images:
        connection.execute(delete(work).where(work.c.image == image))
        rows = connection.execute(
            select(table.record, table.state)
            .where(table.image == image, table.tag == FINAL, table.hidden.is_(False))
            .order_by(table.revision.desc())
        ).all()
        covered: dict[str, set[int]] = {}
        found = []
        for record, state in rows:
            version = LabelVersion.model_validate_json(record)
            done = covered.setdefault("" if one_line else version.annotator, set())
            for frame in (WHOLE,) if version.frames is None else version.frames:
                if frame in done or WHOLE in done:
                    continue
                done.add(frame)
                found.append(
                    {
                        "image": image,
                        "frame": frame,
                        "annotator": version.annotator,
                        "revision": version.revision,
                        "state": state,
                    }
                )
        if found:
            connection.execute(work.insert(), found)
