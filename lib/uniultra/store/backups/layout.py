"""Layout of a backup archive: which files it may hold, for writing and for validation."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from pathlib import PurePath
from typing import IO, Annotated, Literal

from pydantic import Field

from uniultra.errors import RequestError
from uniultra.store.paths import MASK, PRIVATE, RECORD, REVIEW
from uniultra.store.types import FrozenModel, Sha256

CAMPAIGN = "campaign.yaml"
MANIFEST = "manifest.json"
SINGLE = (CAMPAIGN, f"{PRIVATE}/store.json", f"{PRIVATE}/journal.jsonl")
VERSIONS, ADAPTERS = f"{PRIVATE}/versions", f"{PRIVATE}/adapters"
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\ud800-\udfff]')
_BLOCK = 1 << 20
_DEPTH = 4  # parts of a path below the adapters' folder


class Entry(FrozenModel):
    """One file of a backup."""

    sha256: Sha256
    bytes: Annotated[int, Field(ge=0)]


class BackupManifest(FrozenModel):
    """Content of `manifest.json`, the last file of a backup: an entry for each other file."""

    format: Literal["uniultra campaign backup"] = "uniultra campaign backup"
    schema_version: Literal[1] = 1
    uniultra: str
    made: datetime
    files: dict[str, Entry]


def copy(source: IO[bytes], target: IO[bytes], most: int | None = None) -> Entry:
    """Copy a file into or out of a backup and return its manifest entry.

    Raises:
        RequestError: the file has more than `most` bytes.
    """
    digest, length = hashlib.sha256(), 0
    while block := source.read(_BLOCK):
        length += len(block)
        if most is not None and length > most:
            raise refusal("a file is larger than its manifest says")
        digest.update(block)
        target.write(block)
    return Entry(sha256=digest.hexdigest(), bytes=length)


def belongs(name: str) -> bool:
    """Whether a backup may hold a file of this name, relative to the studies folder."""
    parts = name.split("/")
    if any(not plain(part) for part in parts):
        return False
    if name in SINGLE:
        return True
    folder = "/".join(parts[:2])
    if folder == VERSIONS and len(parts) == 4:
        return any(pattern.fullmatch(parts[3]) for pattern in (RECORD, REVIEW, MASK))
    return folder == ADAPTERS and 3 <= len(parts) <= 2 + _DEPTH and not parts[-1].startswith(".")


def relative(source: str) -> bool:
    """Whether the path of an image, which comes from the archive, stays inside the studies folder."""
    path = PurePath(source)
    inside = path.parts and not path.is_absolute() and not path.drive and ".." not in path.parts
    return bool(inside) and "\0" not in source


def plain(part: str) -> bool:
    """Whether this is a valid name of a file or folder on any system, without path traversal."""
    return (
        part not in ("", ".", "..")
        and not _FORBIDDEN.search(part)
        and part[-1] not in ". "
        and len(part.encode(errors="replace")) <= 255
    )


def refusal(why: str) -> RequestError:
    """The error for an archive that is not a complete and harmless backup."""
    return RequestError(
        f"Expected a backup as `uniultra campaign backup` writes it; {why}. Nothing was changed. "
        "Use another copy of it."
    )
