"""Versions and reviews as files: `versions/<image>/<revision>.json` beside its mask, never changed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from uniultra.files import atomic, checksummed
from uniultra.store.catalogue.scan import PRIVATE
from uniultra.store.errors import StoreError
from uniultra.store.types import LabelVersion, Review

SCHEMA_VERSION = 1
Body = dict[str, Any]
# schema version -> what makes a record of the next one of it
STEPS: dict[int, Callable[[Body], Body]] = {}

RECORD = re.compile(r"([1-9]\d*)\.json")
REVIEW = re.compile(r"([1-9]\d*)\.review-([1-9]\d*)\.json")
MASK = re.compile(r"([1-9]\d*)(\.(?!json|review-).+)")


class NewerRecordError(StoreError):
    """A record of a schema that this version does not know."""


def folder(studies: Path, image: str) -> Path:
    """Where the versions of an image lie."""
    return studies / PRIVATE / "versions" / image


def mask_path(studies: Path, version: LabelVersion) -> Path:
    """The file of a version's mask."""
    return folder(studies, version.image) / f"{version.revision}{version.ext}"


def record_path(studies: Path, image: str, revision: int) -> Path:
    """The file of a version's record: the version exists when this does."""
    return folder(studies, image) / f"{revision}.json"


def review_path(studies: Path, image: str, revision: int, number: int) -> Path:
    """The file of the n-th review of a version."""
    return folder(studies, image) / f"{revision}.review-{number}.json"


def last_review(studies: Path, image: str, revision: int) -> int:
    """The highest number of a version's reviews; 0 where there is none."""
    names = (path.name for path in folder(studies, image).glob(f"{revision}.review-*"))
    return max((int(m[2]) for name in names if (m := REVIEW.fullmatch(name))), default=0)


def write(path: Path, record: LabelVersion | Review) -> None:
    """Keep a record; one that is there is never overwritten.

    Raises:
        FileExistsError: there is one.
        OSError: the folder cannot be written.
    """
    if path.exists():
        raise FileExistsError(f"{path.name} is there already")
    body = record.model_dump(mode="json")
    atomic.write(path, json.dumps(checksummed.seal(body), indent=1).encode())


def read_version(path: Path) -> LabelVersion:
    """The version in a record's file, brought to today's schema.

    Raises:
        ValueError: damaged.
        NewerRecordError: written by a newer version of this program.
    """
    return LabelVersion.model_validate(_body(path))


def read_review(path: Path) -> Review:
    """The review in a file, brought to today's schema.

    Raises:
        ValueError: damaged.
        NewerRecordError: written by a newer version of this program.
    """
    return Review.model_validate(_body(path))


def upgraded(
    body: Body,
    steps: Mapping[int, Callable[[Body], Body]] | None = None,
    newest: int = SCHEMA_VERSION,
) -> Body:
    """A record's content in the newest schema, step by step.

    Raises:
        ValueError: no schema version that ever was.
        NewerRecordError: one that is yet to come.
    """
    steps = STEPS if steps is None else steps
    version = body.get("schema_version")
    if not isinstance(version, int) or version < 1:
        raise ValueError("no schema version")
    if version > newest:
        raise NewerRecordError(
            f"Expected label records of schema {newest} or older; got schema {version}. A newer UniUltra "
            "wrote them: start that one."
        )
    while version < newest:
        if version not in steps:
            raise ValueError("no step from this schema version")
        body = {**steps[version](body), "schema_version": version + 1}
        version += 1
    return body


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _body(path: Path) -> Body:
    return upgraded(checksummed.opened(path.read_bytes()))
