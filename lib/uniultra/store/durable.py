"""Writes that a crash leaves whole: a temporary file beside the target, fsync, replace."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def replacing(target: Path) -> Iterator[IO[bytes]]:
    """A binary file that becomes `target` when the block ends well, and vanishes when it does not.

    The temporary file starts with a dot, so no listing takes it for an image or a label.

    Raises:
        OSError: the folder cannot be written or the disk is full; `target` is as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f".{secrets.token_hex(8)}.part"
    # not tempfile, whose files nobody else on a shared studies folder could read
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def copy(source: Path, target: Path) -> None:
    """Copy a file to `target`, whole or not at all.

    Raises:
        OSError: `source` cannot be read or `target` cannot be written.
    """
    with source.open("rb") as original, replacing(target) as file:
        shutil.copyfileobj(original, file, 1 << 20)


def remove(target: Path) -> None:
    """Delete a file if it is there, and make that last."""
    target.unlink(missing_ok=True)
    if target.parent.is_dir():
        _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder; its file system orders the rename itself
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
