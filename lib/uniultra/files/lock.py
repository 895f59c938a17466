"""A write lock over all threads and processes that share a studies folder."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType

from filelock import FileLock


class WriteLock:
    """A lock that is reentrant within a thread and released when its process dies.

    While it is held, any half-written file in the folder must be the remains of a crash.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._threads = threading.RLock()
        self._processes = FileLock(file, mode=0o600, thread_local=False)
        self._owner: int | None = None

    @property
    def held(self) -> bool:
        """Whether the calling thread holds the lock."""
        return self._owner == threading.get_ident()

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            if not self._processes.is_locked:
                self._file.parent.mkdir(parents=True, exist_ok=True)
            self._processes.acquire(poll_interval=0.01)
            self._owner = threading.get_ident()
        except BaseException:
            self._threads.release()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._processes.release()
        if not self._processes.is_locked:
            self._owner = None
        self._threads.release()
