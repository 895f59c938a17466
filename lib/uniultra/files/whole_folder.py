"""Atomic creation of folders: a folder appears complete or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uniultra.errors import RequestError
from uniultra.files.atomic import sync_folder


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """A staging folder, renamed to `target` when the block succeeds and deleted when it fails.

    Raises:
        RequestError: `target` already exists and is not an empty folder, or cannot be written.
    """
    check_free(target)
    staging = target.parent / f".{secrets.token_hex(8)}.part"
    try:
        staging.mkdir(parents=True)
    except OSError:
        raise RequestError("The folder cannot be made there. Choose another place.") from None
    try:
        yield staging
        _settle(staging)
        check_free(target)  # another process may have created it meanwhile
        if target.is_dir():
            target.rmdir()
        staging.replace(target)
        sync_folder(target.parent)
    except OSError:
        raise RequestError(
            "The folder could not be written: the disk is full, or it is read-only. Nothing was left there."
        ) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def check_free(target: Path) -> None:
    """Refuse a target that already exists, unless it is an empty folder.

    Raises:
        RequestError: a file, a link, or a folder that is not empty.
    """
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise RequestError("Expected a new or empty folder; it already has content. Choose another.")


def _settle(folder: Path) -> None:
    """Flush all files and folders in a folder to the disk."""
    for here, _, names in os.walk(folder):
        for name in names:
            with (Path(here) / name).open("r+b") as file:
                os.fsync(file.fileno())
        sync_folder(Path(here))
