"""The effort spent on a label: working time without pauses, and clicks."""

from __future__ import annotations

import time
from typing import Callable, Optional

# After so many seconds without activity, the annotator is considered away.
IDLE_S = 20.0


class Effort:
    """Adds up the seconds between activities (`touch`); of a longer pause, only `IDLE_S` count."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spent = 0.0
        self._last: Optional[float] = None
        self.clicks = 0

    @property
    def seconds(self) -> float:
        """Working time until now, seconds."""
        return self._spent + self._since_last()

    @property
    def active(self) -> bool:
        """Whether the last activity was less than `IDLE_S` ago."""
        return self._last is not None and self._clock() - self._last < IDLE_S

    def start(self, seconds: float = 0.0, clicks: int = 0) -> None:
        """An image was opened; an earlier session spent `seconds` and `clicks` on it already."""
        self._spent, self._last, self.clicks = seconds, self._clock(), clicks

    def touch(self, clicks: int = 0) -> None:
        """The annotator did something; ignored before `start`."""
        if self._last is None:
            return
        self._spent += self._since_last()
        self._last = self._clock()
        self.clicks += clicks

    def stop(self) -> None:
        """The image was closed."""
        self._spent, self._last, self.clicks = 0.0, None, 0

    def _since_last(self) -> float:
        return 0.0 if self._last is None else min(max(self._clock() - self._last, 0.0), IDLE_S)
