"""Clicks on an image renew its lease, off the path of the click and not at every one."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from queue import SimpleQueue

from uniultra.store.store import LabelStore

logger = logging.getLogger(__name__)
_EVERY_S = 20.0
_KEPT = 10_000


class LeaseRenewal:
    """Renews leases on a thread of its own, which starts with the first click."""

    def __init__(self, store: LabelStore) -> None:
        self._store = store
        self._last: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()
        # A daemon thread: the program's end waits for no renewal, which a lost database would hold up.
        self._pending: SimpleQueue[tuple[str, str]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def click(self, image: str, annotator: str) -> None:
        """Note that an annotator works on an image; this takes microseconds."""
        now, key = time.monotonic(), (image, annotator)
        if now - self._last.get(key, -_EVERY_S) < _EVERY_S:
            return
        with self._lock:
            if len(self._last) > _KEPT:
                self._last.clear()
            self._last[key] = now
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew_all, name="leases", daemon=True)
                self._thread.start()
        self._pending.put(key)

    def _renew_all(self) -> None:
        while True:
            with contextlib.suppress(BaseException):  # whatever one renewal raises, the thread lives on
                self._renew(*self._pending.get())

    def _renew(self, image: str, annotator: str) -> None:
        try:
            self._store.touch(image, annotator)
        except Exception as error:  # a click that cannot be noted ends no other annotator's lease
            logger.warning("A lease could not be renewed (%s).", type(error).__name__)
