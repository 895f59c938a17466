"""Adapter settings as JSON and back, checked on the way in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from uniultra.adapters.registry import kind
from uniultra.errors import ModelError

MAX_TEXT = 1 << 16


def to_json(config: Any) -> str:
    """The settings of an adapter as JSON."""
    return json.dumps(asdict(config), sort_keys=True)


def from_json(adapter: str, text: str) -> Any:
    """The settings that `to_json` wrote for an adapter of kind `adapter`.

    Raises:
        ModelError: no such kind, an unknown setting, or a value of the wrong type.
    """
    try:
        values = json.loads(text) if len(text) <= MAX_TEXT else None
    except (ValueError, RecursionError):
        values = None
    return checked(adapter, values)


def checked(adapter: str, values: object) -> Any:
    """The settings of an adapter of kind `adapter` from their names and values.

    Raises:
        ModelError: see `from_json`.
    """
    config = kind(adapter).config
    names = {field.name for field in fields(config)}
    if not isinstance(values, Mapping) or not set(values) <= names:
        raise ModelError(
            f"Expected settings of the adapter {adapter} ({', '.join(sorted(names))}); these are damaged "
            "or of another version."
        )
    try:
        return TypeAdapter(config).validate_python(dict(values))
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(str(part) for part in wrong["loc"])
        raise ModelError(f"The adapter {adapter} cannot be set so: {where}: {wrong['msg']}.") from None
