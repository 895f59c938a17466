"""Delays the program's exit until running native code returns: cutting it off aborts the process."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Longest wait; a block that takes longer is cut off.
PATIENCE_S = 20.0

_changed = threading.Condition()
_busy = 0
_ending = False


@contextmanager
def unbroken() -> Iterator[None]:
    """For daemon threads: the interpreter's exit waits for the block; none begins during the exit.

    Raises:
        SystemExit: the program is exiting; raised in a thread, it ends the thread silently.
    """
    global _busy
    with _changed:
        if _ending:
            raise SystemExit
        _busy += 1
    try:
        yield
    except RuntimeError:
        if _ending:  # thread pools refuse work during the exit
            raise SystemExit from None
        raise
    finally:
        with _changed:
            _busy -= 1
            _changed.notify_all()


def _end() -> None:
    global _ending
    with _changed:
        _ending = True
        _changed.wait_for(lambda: not _busy, PATIENCE_S)


atexit.register(_end)
