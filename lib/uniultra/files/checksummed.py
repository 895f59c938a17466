"""Checksums: of files, and of JSON objects that carry their own, so that a flipped bit is found."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic_core import from_json

KEY = "record_sha256"
Body = dict[str, Any]


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(body: Body) -> Body:
    """A JSON object with its checksum."""
    return {**body, KEY: _digest(body)}


def opened(data: bytes | str) -> Body:
    """The object in some JSON, without its checksum; one made by hand may have none.

    Raises:
        ValueError: no JSON object, or its content is not the one that was sealed.
    """
    body = from_json(data)
    if not isinstance(body, dict):
        raise ValueError("no JSON object")
    if body.pop(KEY, None) not in (None, _digest(body)):
        raise ValueError("another checksum")
    return body


def readable(body: Body) -> bool:
    """Whether an object, or a part of one, can be read back: its text is Unicode, its levels are few."""
    try:
        from_json(json.dumps(body))
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _digest(body: Body) -> str:
    """SHA-256 of an object's content, however it is spaced."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
