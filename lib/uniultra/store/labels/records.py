"""Versions and reviews as files: `versions/<image>/<revision>.json` beside its mask, never changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from uniultra.files import atomic, checksummed
from uniultra.store.errors import StoreError
from uniultra.store.paths import REVIEW, versions_folder
from uniultra.store.types import LabelVersion, Review

SCHEMA_VERSION = 1


class NewerRecordError(StoreError):
    """A record of a schema that this version does not know."""


def last_review(studies: Path, image: str, revision: int) -> int:
    """The highest number of a version's reviews; 0 without reviews."""
    names = (path.name for path in versions_folder(studies, image).glob(f"{revision}.review-*"))
    return max((int(m[2]) for name in names if (m := REVIEW.fullmatch(name))), default=0)


def write(path: Path, record: LabelVersion | Review) -> None:
    """Write a record; an existing one is never overwritten.

    Raises:
        FileExistsError: the record exists.
        OSError: the folder cannot be written.
    """
    if path.exists():
        raise FileExistsError(f"{path.name} exists already")
    body = record.model_dump(mode="json")
    atomic.write(path, json.dumps(checksummed.seal(body), indent=1).encode())


def read_version(path: Path) -> LabelVersion:
    """The version in a record's file.

    Raises:
        ValueError: damaged.
        NewerRecordError: written by a newer version of this program.
    """
    return LabelVersion.model_validate(_body(path))


def read_review(path: Path) -> Review:
    """The review in a file.

    Raises:
        ValueError: damaged.
        NewerRecordError: written by a newer version of this program.
    """
    return Review.model_validate(_body(path))


def _body(path: Path) -> dict[str, Any]:
    body = checksummed.opened(path.read_bytes())
    version = body.get("schema_version")
    if not isinstance(version, int) or version < 1:
        raise ValueError("no schema version")
    if version > SCHEMA_VERSION:
        raise NewerRecordError(
            f"Expected label records of schema {SCHEMA_VERSION} or older; got schema {version}. A newer "
            "UniUltra wrote them: start that version."
        )
    return body
