"""Adapter settings to and from JSON, validated when read."""

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
    """Serialise the settings of an adapter as JSON."""
    return json.dumps(asdict(config), sort_keys=True)


def from_json(adapter: str, text: str) -> Any:
    """Read the settings that `to_json` wrote for an adapter of kind `adapter`.

    Raises:
        ModelError: unknown kind, unknown setting, or a value of the wrong type.
    """
    try:
        values = json.loads(text) if len(text) <= MAX_TEXT else None
    except (ValueError, RecursionError):
        values = None
    return checked(adapter, values)


def checked(adapter: str, values: object) -> Any:
    """Validate the settings of an adapter of kind `adapter`, given by name.

    Raises:
        ModelError: see `from_json`.
    """
    config = kind(adapter).config
    names = {field.name for field in fields(config)}
    if not isinstance(values, Mapping) or not set(values) <= names:
        raise ModelError(
            f"Expected settings of the adapter {adapter} ({', '.join(sorted(names))}); got "
            "others. They are damaged or of another version: remove what is not listed."
        )
    try:
        return TypeAdapter(config).validate_python(dict(values))
    except ValidationError as error:
        raise ModelError(f"Invalid setting of the adapter {adapter}: {first_error(error)}.") from None


def first_error(error: ValidationError) -> str:
    """Dotted place and message of the first error that pydantic found, without the rejected value."""
    wrong = error.errors(include_input=False)[0]
    place = ".".join(str(part) for part in wrong["loc"])[:80]
    return f"{place}: {wrong['msg']}" if place else wrong["msg"]
