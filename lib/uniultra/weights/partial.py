"""The received part of a download, kept on disk with a note of its version and hashed as it arrives."""

from __future__ import annotations

import hashlib
import json
import os
from email.message import Message
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from uniultra.errors import ModelError
from uniultra.weights.tensors import writing

NOTE_BYTES = 1 << 14


class Partial:
    """Context manager of the received part of `url` beside `target`, locked against other processes.

    Attributes:
        done: bytes received.
        folder: folder of the part and the target.
    """

    def __init__(self, target: Path, url: str) -> None:
        self._target = target
        self._url = url
        self._path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")
        self._lock = FileLock(target.with_name(f"{target.name}.lock"), timeout=0)
        self._validator: str | None = None
        self._stream: Any
        self._digest = hashlib.sha256()
        self.folder = target.parent
        self.done = 0

    def __enter__(self) -> Partial:
        with writing("download"):
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
        """Request headers for the missing rest."""
        if not self.done:
            return {}
        rest = {"Range": f"bytes={self.done}-"}
        return rest | ({"If-Range": self._validator} if self._validator else {})

    def note(self, headers: Message) -> None:
        """Record the version of the file that the server sends."""
        tag = headers.get("ETag", "")
        # A weak ETag does not identify bytes, and If-Range does not allow it.
        validator = tag if tag.startswith('"') else headers.get("Last-Modified")
        if validator != self._validator or not self._note.exists():
            self._validator = validator
            with writing("download"):
                self._note.write_text(json.dumps({"url": self._url, "validator": validator}), "utf-8")

    def append(self, chunk: bytes) -> None:
        """Write and hash the next bytes.

        Raises:
            ModelError: the disk is full or the folder cannot be written.
        """
        with writing("download"):
            self._stream.write(chunk)
        self._digest.update(chunk)
        self.done += len(chunk)

    def hexdigest(self) -> str:
        """SHA-256 of the received part."""
        return self._digest.hexdigest()

    def reset(self) -> None:
        """Start again from the first byte."""
        self._stream.seek(0)
        self._stream.truncate()
        self._digest = hashlib.sha256()
        self._validator = None
        self.done = 0

    def discard(self) -> None:
        """Delete the part and its note."""
        self.reset()
        self._path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self) -> None:
        """Sync the complete file to disk and rename it to the target.

        Raises:
            ModelError: the disk is full or the folder cannot be written.
        """
        with writing("download"):
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            self._path.replace(self._target)
        self._note.unlink(missing_ok=True)

    def _open(self) -> None:
        kept = self._noted_version() and self._path.is_file()
        self._stream = self._path.open("r+b" if kept else "w+b")
        self._digest = hashlib.file_digest(self._stream, "sha256")  # leaves the stream at its end
        self.done = self._stream.tell()

    def _noted_version(self) -> bool:
        try:
            with self._note.open("rb") as stream:
                note = json.loads(stream.read(NOTE_BYTES))
        except (OSError, ValueError, RecursionError):
            return False
        if not isinstance(note, dict) or note.get("url") != self._url:
            return False
        validator = note.get("validator")
        plain = isinstance(validator, str) and validator.isascii() and validator.isprintable()
        self._validator = validator if plain else None
        return True
