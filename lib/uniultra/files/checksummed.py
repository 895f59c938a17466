"""Checksums of files, and JSON objects that carry their own checksum, so that corruption is detected."""

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
    """Parse a JSON object and verify its checksum, which is removed; objects written by hand may have none.

    Raises:
        ValueError: not a JSON object, or its content does not match the checksum.
    """
    body = from_json(data)
    if not isinstance(body, dict):
        raise ValueError("no JSON object")
    if body.pop(KEY, None) not in (None, _digest(body)):
        raise ValueError("another checksum")
    return body


def readable(body: Body) -> bool:
    """Whether an object, or a part of one, survives JSON: valid Unicode and limited nesting."""
    try:
        from_json(json.dumps(body))
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _digest(body: Body) -> str:
    """SHA-256 of an object's content, independent of formatting and order of keys."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
