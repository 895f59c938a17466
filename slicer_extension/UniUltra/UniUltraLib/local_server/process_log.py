"""The output of another program: its last lines, without secrets."""

from __future__ import annotations

import re
import threading
from collections import deque
from typing import Deque, List, Tuple

LINES = WIDTH = 500
_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@]+@")
_BEARER = re.compile(r"(?i)\b(bearer|token|password|api[_-]?key)\b(\s*[:=]?\s*)(?!is\b)[^\s,;'\"]{4,}")
_WHY = re.compile(r"^(uniultra \w+: |ERROR\b|error\b|!!)|\w+Error\b")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class ProcessLog:
    """The last `LINES` lines, each cut at `WIDTH` characters; safe to read from any thread.

    Credentials in addresses, and words after bearer, token, password or API key, are replaced by ***.
    """

    def __init__(self) -> None:
        self._lines: Deque[str] = deque(maxlen=LINES)
        self._count = 0
        self._lock = threading.Lock()

    def add(self, text: str) -> None:
        """Add a line; of a progress bar, which overwrites itself, the last state."""
        line = _COLOUR.sub("", text.rstrip("\r\n").rpartition("\r")[2])
        line = _IN_ADDRESS.sub("***@", _BEARER.sub(r"\1\2***", line))
        line = "".join(c if c.isprintable() or c == "\t" else " " for c in line)[:WIDTH].rstrip()
        if line:
            with self._lock:
                self._lines.append(line)
                self._count += 1

    def since(self, number: int) -> Tuple[int, List[str]]:
        """The lines after the first `number`, as far as they are kept, and the number for the next call."""
        with self._lock:
            new = min(max(self._count - number, 0), len(self._lines))
            return self._count, list(self._lines)[len(self._lines) - new :]

    def tail(self, lines: int) -> List[str]:
        """The last lines."""
        return self.since(0)[1][-lines:]

    def reason(self) -> str:
        """Why a program ended: its last error lines or, without any, its last lines."""
        lines = self.tail(40)
        errors = [line for line in lines if _WHY.search(line)]
        return " ".join(errors[-2:] or lines[-5:])
