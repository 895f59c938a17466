"""The append-only journal of events other than label versions, one JSON line per event.

Each line has its own checksum. Damaged lines are quarantined when the store is opened.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from uniultra.errors import RequestError
from uniultra.files import atomic, checksummed
from uniultra.store import quarantine

Event = dict[str, Any]


class Journal:
    """The file `journal.jsonl`. The caller of `add` and `mend` holds the folder's write lock."""

    def __init__(self, private: Path) -> None:
        self._private, self._file = private, private / "journal.jsonl"

    def length(self) -> int:
        """Bytes in the file."""
        return self._file.stat().st_size if self._file.exists() else 0

    def add(self, events: Iterable[Event]) -> int:
        """Append events; the file's length afterwards.

        Raises:
            RequestError: an event could not be read back; nothing is written.
            OSError: the folder cannot be written.
        """
        lines = [json.dumps(checksummed.seal(event), ensure_ascii=True).encode() + b"\n" for event in events]
        if any(_event(line) is None for line in lines):
            raise RequestError(
                "Expected text in Unicode and JSON of few levels; got something that cannot be read back. "
                "Nothing was saved. Correct it."
            )
        return atomic.append(self._file, b"".join(lines))

    def since(self, offset: int = 0) -> Iterator[Event]:
        """The events from a byte offset on; damaged entries are skipped."""
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            file.seek(offset)
            for line in file:
                event = _event(line)
                if event is not None:
                    yield event

    def mend(self) -> bool:
        """Quarantine damaged entries; whether there were any.

        Raises:
            OSError: the folder cannot be written.
        """
        if not self._file.exists():
            return False
        lines = self._file.read_bytes().splitlines(keepends=True)
        bad = [line for line in lines if _event(line) is None and line.strip()]
        if not bad:
            return False
        # an entry torn by a crash lacks its end; whether it had been acknowledged cannot be known
        torn = all(not line.rstrip().endswith(b"}") for line in bad)
        reason: quarantine.Reason = "half written" if torn else "journal damaged"
        damaged = self._file.with_name("damaged.jsonl")
        atomic.write(damaged, b"".join(bad))
        quarantine.add(self._private, [damaged], reason)
        whole = b"".join(line.rstrip(b"\n") + b"\n" for line in lines if _event(line) is not None)
        atomic.write(self._file, whole)
        return True


def _event(line: bytes) -> Event | None:
    try:
        event = checksummed.opened(line)
    except ValueError:
        return None
    return event if isinstance(event.get("kind"), str) else None
