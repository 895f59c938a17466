"""Work that the end of the program waits for: a thread cut off within native code aborts the process."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# What takes longer is cut off all the same.
PATIENCE_S = 20.0

_changed = threading.Condition()
_busy = 0
_ending = False


@contextmanager
def unbroken() -> Iterator[None]:
    """For a daemon thread: the interpreter does not end within the block; once it ends, none is entered.

    Raises:
        SystemExit: the program is at its end; of a thread it ends the thread, without a word.
    """
    global _busy
    with _changed:
        if _ending:
            raise SystemExit
        _busy += 1
    try:
        yield
    except RuntimeError:
        if _ending:  # no pool takes work any more
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
