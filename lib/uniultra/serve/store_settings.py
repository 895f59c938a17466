"""Where the label store's index lies: `--conf store_url`, or the environment where `ps` cannot see it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from uniultra.serve.settings import SettingsError

VARIABLE = "UNIULTRA_STORE_URL"


def store_url(conf: Mapping[str, str]) -> str | None:
    """The address of the PostgreSQL database, None for SQLite in the studies folder.

    Raises:
        SettingsError: another kind of address; its text holds no part of it.
    """
    url = conf.get("store_url") or os.environ.get(VARIABLE) or None
    if url is not None and not url.startswith(("postgresql://", "postgresql+psycopg://")):
        raise SettingsError(
            "Expected store_url as postgresql+psycopg://USER@HOST/DATABASE; got another kind of address. "
            f"Change --conf store_url, or the variable {VARIABLE}."
        )
    return None if url is None else url.replace("postgresql://", "postgresql+psycopg://", 1)
