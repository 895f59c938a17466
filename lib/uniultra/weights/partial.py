"""The part of a download that has come: kept on disk with a note of its version, hashed as it comes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from uniultra.errors import ModelError
from uniultra.weights.tensors import unwritable

NOTE_BYTES = 1 << 14


class Partial:
    """The part of `url` that lies beside `target`, for the time of a `with`; one process at a time.

    Attributes:
        done: bytes that have come.
        folder: where they lie.
    """

    def __init__(self, target: Path, url: str) -> None:
        self._target = target
        self._url = url
        self._path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")
        self._lock = FileLock(target.with_name(f"{target.name}.lock"), timeout=0)
        self._validator: str | None = None
        self._stream: IO[bytes]
        self._digest = hashlib.sha256()
        self.folder = target.parent
        self.done = 0

    def __enter__(self) -> Partial:
        with _writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout:
                raise ModelError("Another run is fetching this file; wait until it has finished.") from None
            try:
                self._open()
            except OSError:
                self._lock.release()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._lock.release()

    def headers(self) -> dict[str, str]:
        """What a request says to get only the rest."""
        if not self.done:
            return {}
        rest = {"Range": f"bytes={self.done}-"}
        return rest | ({"If-Range": self._validator} if self._validator else {})

    def note(self, headers: Message) -> None:
        """Remember which version of the file the server is sending."""
        tag = headers.get("ETag", "")
        # A weak tag may stand for other bytes, and If-Range does not take it.
        validator = tag if tag.startswith('"') else headers.get("Last-Modified")
        if validator != self._validator or not self._note.exists():
            self._validator = validator
            with _writing():
                self._note.write_text(json.dumps({"url": self._url, "validator": validator}), "utf-8")

    def append(self, chunk: bytes) -> None:
        """Keep what came.

        Raises:
            ModelError: the disk is full or the folder cannot be written.
        """
        with _writing():
            self._stream.write(chunk)
        self._digest.update(chunk)
        self.done += len(chunk)

    def hexdigest(self) -> str:
        """SHA-256 of what has come."""
        return self._digest.hexdigest()

    def reset(self) -> None:
        """Start again from nothing."""
        self._stream.seek(0)
        self._stream.truncate()
        self._digest = hashlib.sha256()
        self._validator = None
        self.done = 0

    def discard(self) -> None:
        """Delete what has come."""
        self.reset()
        self._path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self) -> None:
        """Give what has come its name.

        Raises:
            ModelError: the disk is full or the folder cannot be written.
        """
        with _writing():
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            self._path.replace(self._target)
        self._note.unlink(missing_ok=True)

    def _open(self) -> None:
        kept = self._noted_version() and self._path.is_file()
        self._stream = self._path.open("r+b" if kept else "w+b")
        while block := self._stream.read(1 << 20):
            self._digest.update(block)
            self.done += len(block)

    def _noted_version(self) -> bool:
        try:
            with self._note.open("rb") as stream:
                found = json.loads(stream.read(NOTE_BYTES))
        except (OSError, ValueError, RecursionError):
            return False
        if not isinstance(found, dict) or found.get("url") != self._url:
            return False
        validator = found.get("validator")
        plain = isinstance(validator, str) and validator.isascii() and validator.isprintable()
        self._validator = validator if plain else None
        return True


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unwritable("download", error) from error
