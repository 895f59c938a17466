"""Persistent identity of a studies folder: ID, name and the salt used to hash patient IDs."""

from __future__ import annotations

import secrets
import uuid
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from uniultra.files import atomic
from uniultra.store.errors import StoreError


class Identity(BaseModel):
    """Content of `.uniultra/store.json`."""

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = 1
    id: str
    salt: str
    name: str = "studies"
    description: str = ""


def read(private: Path) -> Identity | None:
    """The folder's identity; None if it has none yet.

    Raises:
        StoreError: the file is damaged. It is not replaced: a new salt would change the patient groups.
    """
    try:
        return Identity.model_validate_json((private / "store.json").read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError):
        raise StoreError(
            "Expected .uniultra/store.json as the server wrote it; it is damaged. Restore it from a backup."
        ) from None


def write(private: Path, identity: Identity) -> Identity:
    """Store the identity; the caller holds the folder's write lock."""
    atomic.write(private / "store.json", identity.model_dump_json(indent=1).encode())
    return identity


def new() -> Identity:
    """A new, unique identity."""
    return Identity(id=uuid.uuid4().hex, salt=secrets.token_hex(16))
