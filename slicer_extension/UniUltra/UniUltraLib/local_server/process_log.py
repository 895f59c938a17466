"""The output of another program, line by line, bounded and without secrets."""

from __future__ import annotations

import re
import threading
from collections import deque
from typing import Deque, List, Sequence, Tuple

_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@]+@")
_BEARER = re.compile(r"(?i)\b(bearer|token|password|api[_-]?key)\b(\s*[:=]?\s*)(?!is\b)[^\s,;'\"]{4,}")
_WHY = re.compile(r"^(uniultra \w+: |ERROR\b|error\b|!!)|\w+Error\b")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class ProcessLog:
    """The last lines, each cut at `width` characters; safe to read from any thread.

    `secrets` are texts that never appear; names and passwords in addresses and what follows a word like
    bearer or password are left out in any case.
    """

    def __init__(self, secrets: Sequence[str] = (), lines: int = 500, width: int = 500) -> None:
        self._secrets = [secret for secret in secrets if secret]
        self._width = width
        self._lines: Deque[str] = deque(maxlen=lines)
        self._count = 0
        self._lock = threading.Lock()

    def add(self, text: str) -> None:
        """Add a line; of a progress bar, which writes over itself, its last state."""
        line = _COLOUR.sub("", text.rstrip("\r\n").rpartition("\r")[2])
        for secret in self._secrets:
            line = line.replace(secret, "***")
        line = _IN_ADDRESS.sub("***@", _BEARER.sub(r"\1\2***", line))
        line = "".join(c if c.isprintable() or c == "\t" else " " for c in line)[: self._width].rstrip()
        if line:
            with self._lock:
                self._lines.append(line)
                self._count += 1

    def since(self, number: int) -> Tuple[int, List[str]]:
        """The lines after the first `number`, as far as they are kept, and the number to ask with next."""
        with self._lock:
            new = min(max(self._count - number, 0), len(self._lines))
            return self._count, list(self._lines)[len(self._lines) - new :]

    def tail(self, lines: int) -> List[str]:
        """The last lines."""
        return self.since(0)[1][-lines:]

    def reason(self) -> str:
        """The lines that say why a program ended: its last errors, else its very last lines."""
        lines = self.tail(40)
        errors = [line for line in lines if _WHY.search(line)]
        return " ".join(errors[-2:] or lines[-5:])
