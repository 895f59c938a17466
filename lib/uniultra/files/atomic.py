"""Atomic, durable writes: a temporary file beside the target, fsync, rename.

A crash at any step leaves the old file or the new one, never a part of it.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A temporary path in `folder`, deleted at the end unless it was moved.

    Its name starts with a dot, so that no listing takes it for an image or a label.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{secrets.token_hex(8)}.part"
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def write(target: Path, data: bytes) -> None:
    """Replace the content of a file by `data`, or leave it unchanged.

    Raises:
        OSError: the folder cannot be written or the disk is full.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "record.json"
    >>> write(target, b"{}")
    >>> target.read_bytes(), [path.name for path in target.parent.iterdir()]
    (b'{}', ['record.json'])
    """
    with staged(target.parent) as temporary:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        move(temporary, target)


def copy(source: Path, temporary: Path) -> None:
    """Copy a file to a staged path, with fsync.

    Raises:
        OSError: `source` cannot be read, or the disk is full.
    """
    with source.open("rb") as original, temporary.open("xb") as file:
        shutil.copyfileobj(original, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())


def move(temporary: Path, target: Path) -> None:
    """Rename a staged file to its target in the same folder, durably."""
    temporary.replace(target)
    sync_folder(target.parent)


def append(target: Path, data: bytes) -> int:
    """Append `data` to a file, with fsync; returns the file's length afterwards.

    One writer at a time. A line that a crash left incomplete stays a line of its own.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    new = not target.exists()
    with target.open("a+b") as file:
        if end := file.seek(0, os.SEEK_END):
            file.seek(end - 1)
            if file.read(1) != b"\n":
                data = b"\n" + data
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        length = file.tell()
    if new:
        sync_folder(target.parent)
    return length


def remove(target: Path) -> None:
    """Delete a file if it exists, durably."""
    target.unlink(missing_ok=True)
    if target.parent.is_dir():
        sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and deletions in a folder durable, where the system supports it."""
    if os.name == "nt":  # Windows cannot open a folder; its file system orders the rename itself
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
