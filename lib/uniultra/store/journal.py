"""What happened to images, apart from labels: a line of JSON for each event, only ever added to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from uniultra.store import durable

Event = dict[str, Any]


class Journal:
    """The file `journal.jsonl`. The caller of `add` holds the folder's write lock."""

    def __init__(self, private: Path) -> None:
        self._file = private / "journal.jsonl"

    def length(self) -> int:
        """Bytes in the file."""
        return self._file.stat().st_size if self._file.exists() else 0

    def add(self, events: Iterable[Event]) -> int:
        """Keep events; the file's length afterwards.

        Raises:
            OSError: the folder cannot be written.
        """
        lines = "".join(json.dumps(event, ensure_ascii=True) + "\n" for event in events)
        return durable.append(self._file, lines.encode())

    def since(self, place: int = 0) -> Iterator[Event]:
        """The events from a place in the file on; a line that a crash tore is passed over."""
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            file.seek(place)
            for line in file:
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if isinstance(event, dict) and isinstance(event.get("kind"), str):
                    yield event
