"""The index of a studies folder: which id a file has for good, and what is known about it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from uniultra.store.durable import write

logger = logging.getLogger(__name__)
_VERSION = 1


@dataclass
class LabelRecord:
    """One label: the extension of its file and what its annotator's client sent with it."""

    ext: str
    info: dict[str, Any] = field(default_factory=dict)


@dataclass
class ImageRecord:
    """One image: its path relative to the studies folder; `added` when the server wrote it."""

    path: str
    added: bool = False
    info: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, LabelRecord] = field(default_factory=dict)


@dataclass
class Records:
    """All that the index file holds."""

    name: str = "studies"
    description: str = ""
    images: dict[str, ImageRecord] = field(default_factory=dict)


class Index:
    """The records in memory and on disk, shared with other processes through a lock file."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "index.json"
        self._lock = FileLock(folder / "index.lock", mode=0o600)
        self._seen: tuple[int, int] | None = None
        self.records = Records()

    def reload(self) -> None:
        """Read the file again if another process has written it; a damaged one is put aside."""
        try:
            stat = self._file.stat()
        except FileNotFoundError:
            return
        version = (stat.st_mtime_ns, stat.st_size)
        if version == self._seen:
            return
        try:
            self.records = _parse(json.loads(self._file.read_text("utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError):
            logger.warning("The index of the studies folder is damaged; it is put aside and built again.")
            self._file.replace(self._file.with_name(f"index.damaged-{time.time_ns()}.json"))
            return
        self._seen = version

    @contextmanager
    def editing(self) -> Iterator[Records]:
        """The newest records, written back when the block ends well.

        Raises:
            OSError: the studies folder cannot be written.
        """
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            self.reload()
            try:
                yield self.records
                self._write()
            except BaseException:
                self._seen = None  # whatever the block changed is forgotten
                self.records = Records()
                self.reload()
                raise

    def _write(self) -> None:
        body = {"version": _VERSION, **asdict(self.records)}
        write(self._file, json.dumps(body, indent=1).encode())
        stat = self._file.stat()
        self._seen = (stat.st_mtime_ns, stat.st_size)


def _parse(body: dict[str, Any]) -> Records:
    if body["version"] != _VERSION:
        raise ValueError("another version")
    images = {
        image_id: ImageRecord(
            path=str(record["path"]),
            added=record["added"] is True,
            info=dict(record["info"]),
            labels={t: LabelRecord(str(v["ext"]), dict(v["info"])) for t, v in record["labels"].items()},
        )
        for image_id, record in body["images"].items()
    }
    return Records(str(body["name"]), str(body["description"]), images)
