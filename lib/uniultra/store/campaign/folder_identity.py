"""Who a studies folder is: an id, a salt for patients' hashes, its name. Written once, kept for good."""

from __future__ import annotations

import secrets
import uuid
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from uniultra.files import atomic
from uniultra.store.errors import StoreError


class Identity(BaseModel):
    """What `.uniultra/store.json` holds."""

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = 1
    id: str
    salt: str
    name: str = "studies"
    description: str = ""


def read(private: Path) -> Identity | None:
    """The folder's identity, None where it has none yet.

    Raises:
        StoreError: the file is damaged: a new salt would put patients into other groups.
    """
    try:
        return Identity.model_validate_json((private / "store.json").read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError):
        raise StoreError(
            "Expected .uniultra/store.json as the server wrote it; it is damaged. Put it back from a backup."
        ) from None


def write(private: Path, identity: Identity) -> Identity:
    """Keep it; the caller holds the folder's write lock."""
    atomic.write(private / "store.json", identity.model_dump_json(indent=1).encode())
    return identity


def new() -> Identity:
    """An identity that nobody has."""
    return Identity(id=uuid.uuid4().hex, salt=secrets.token_hex(16))
