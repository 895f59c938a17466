"""Graceful stop on SIGTERM or Ctrl-C: the current step is finished and a checkpoint written.

A signal may arrive in the middle of a step, where the weights, their average and the optimiser belong to
different steps; an exception raised there would lose all work since the last checkpoint. So the handler
only records the signal. The loop checks for it between two steps, writes a checkpoint and then ends as the
signal requires. The handler restores its predecessor at once: a second Ctrl-C stops a step that hangs.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Records the first stop signal in `signal`, which is None until then."""

    def __init__(self) -> None:
        self.signal: int | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Record SIGTERM and SIGINT while the context lasts; a second signal acts as it did before."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python lets only the main thread set handlers
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

        def remember(number: int, _frame: FrameType | None) -> None:
            self.signal = number
            signal.signal(number, before[signal.Signals(number)])

        for number in before:
            signal.signal(number, remember)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def act(self) -> None:
        """End the process as the recorded signal requires; do nothing without a signal.

        Raises:
            KeyboardInterrupt: after Ctrl-C.
            SystemExit: after SIGTERM, with the code that a shell expects.
        """
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is not None:
            raise SystemExit(128 + self.signal)
