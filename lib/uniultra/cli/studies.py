"""What the commands that work on a studies folder share."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from uniultra.errors import RequestError

if TYPE_CHECKING:
    from uniultra.store.store import LabelStore


def add_studies(parser: argparse.ArgumentParser) -> None:
    """Say which studies folder and which index a command works on."""
    parser.add_argument("--studies", type=Path, required=True, help="the folder that the server serves")
    parser.add_argument(
        "--store-url", metavar="URL", help="the server's store_url, where its index is in PostgreSQL"
    )


def open_store(options: argparse.Namespace) -> LabelStore:
    """The label store of `--studies`.

    Raises:
        RequestError: there is no such folder.
        StoreError: its index cannot be opened.
    """
    from uniultra.store.store import LabelStore

    if not options.studies.is_dir():
        raise RequestError("Expected --studies to be a folder; there is none of that name.")
    store = LabelStore(options.studies, options.store_url)
    store.ready()
    store.images.refresh()
    return store


def listed(problems: dict[str, str]) -> int:
    """Print what could not be done; 1 when there is any."""
    for name, why in problems.items():
        print(f"!! {name}: {why}", file=sys.stderr)
    return 1 if problems else 0
