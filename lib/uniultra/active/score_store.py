"""Disk cache of unit scores; it may be deleted at any time.

Scores are stored by content hash of the image, frame, and generation: the weights and prototypes that they
were computed with. They are read once; later reads are from memory.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import ValidationError

from uniultra.active.scoring import UnitScore
from uniultra.active.summary import Summary

logger = logging.getLogger(__name__)
FILE = "scores.sqlite"
GENERATIONS = 2  # the newest, and the one before, used until the newest has scored enough units
_TABLES = """
CREATE TABLE IF NOT EXISTS scores (
    content TEXT, frame INTEGER, generation TEXT, features BLOB, summary TEXT,
    PRIMARY KEY (content, frame, generation)
);
CREATE TABLE IF NOT EXISTS files (source TEXT PRIMARY KEY, mtime INTEGER, size INTEGER, content TEXT);
"""


class Scored(NamedTuple):
    """Key of a score: the content hash of an image file, and a frame."""

    content: str
    frame: int


class ScoreStore:
    """Scores of the units of one folder. Thread safe; several processes may share the folder.

    Args:
        folder: of the cache file; created with the first score.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._lock = threading.Lock()
        self._kept: dict[str, dict[Scored, UnitScore]] | None = None
        self._files: dict[str, tuple[int, int, str]] = {}

    def put(self, unit: Scored, generation: str, score: UnitScore) -> None:
        """Store one score; its generation becomes the newest."""
        with self._lock:
            scores = self._load()
            scores.setdefault(generation, {})[unit] = score
            features = np.asarray(score.features, np.float32).tobytes()
            self._write(
                "INSERT OR REPLACE INTO scores VALUES (?,?,?,?,?)",
                (*unit, generation, features, score.summary.model_dump_json()),
            )

    def get(self, unit: Scored, generation: str) -> UnitScore | None:
        """The score of a unit in a generation, or None."""
        with self._lock:
            return self._load().get(generation, {}).get(unit)

    def generation(self, units: Iterable[Scored]) -> str | None:
        """The newest generation with at least half of the units; else the one with most, or None."""
        keys = list(units)
        with self._lock:
            scores = self._load()
            counts = {name: sum(key in of for key in keys) for name, of in reversed(scores.items())}
        for name, count in counts.items():
            if 2 * count >= len(keys) and count:
                return name
        best = max(counts, key=lambda name: counts[name], default=None)
        return best if best is not None and counts[best] else None

    def begin(self, generation: str) -> None:
        """Make a generation the newest one, and delete all but the one before it."""
        with self._lock:
            scores = self._load()
            scores[generation] = scores.pop(generation, {})
            for old in list(scores)[:-GENERATIONS]:
                del scores[old]
                self._write("DELETE FROM scores WHERE generation = ?", (old,))

    def content(self, source: str, mtime: int, size: int) -> str | None:
        """Content hash of a file that is unchanged since `note`; None if it must be read."""
        with self._lock:
            self._load()
            noted = self._files.get(source)
            return noted[2] if noted is not None and noted[:2] == (mtime, size) else None

    def note(self, source: str, mtime: int, size: int, content: str) -> None:
        """Store the content hash of a file."""
        with self._lock:
            self._load()
            self._files[source] = (mtime, size, content)
            self._write("INSERT OR REPLACE INTO files VALUES (?,?,?,?)", (source, mtime, size, content))

    def _load(self) -> dict[str, dict[Scored, UnitScore]]:
        if self._kept is None:
            self._kept = {}
            if self._path.is_file():
                try:
                    self._read(self._kept)
                except (sqlite3.DatabaseError, ValidationError, ValueError):
                    logger.warning("The scores of the query strategies are damaged; they are recomputed.")
                    self._kept, self._files = {}, {}
                    self._path.unlink(missing_ok=True)
        return self._kept

    def _read(self, scores: dict[str, dict[Scored, UnitScore]]) -> None:
        with closing(sqlite3.connect(self._path)) as database:
            database.executescript(_TABLES)
            rows = database.execute(
                "SELECT content, frame, generation, features, summary FROM scores ORDER BY rowid"
            )
            for content, frame, generation, features, summary in rows:
                score = UnitScore(np.frombuffer(features, np.float32), Summary.model_validate_json(summary))
                scores.setdefault(generation, {})[Scored(content, frame)] = score
            for source, mtime, size, content in database.execute("SELECT * FROM files"):
                self._files[source] = (mtime, size, content)

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        """Write through; if the folder is not writable, scores stay in memory."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=10)) as database, database:
                database.execute("PRAGMA synchronous = OFF")  # lost scores are only recomputed
                database.executescript(_TABLES)
                database.execute(statement, values)
        except (sqlite3.OperationalError, OSError):
            logger.warning(
                "Scores of the query strategies cannot be written; they last until the server stops."
            )
