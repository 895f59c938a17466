"""Clicks on an image renew its lease, beside the click and not at every one."""

from __future__ import annotations

import logging
import queue
import threading
import time

from uniultra.store.store import LabelStore

logger = logging.getLogger(__name__)
_EVERY_S = 20.0
_KEPT = 10_000


class LeaseRenewal:
    """Renews leases in a thread of its own, which begins with the first click."""

    def __init__(self, store: LabelStore) -> None:
        self._store = store
        self._last: dict[tuple[str, str], float] = {}
        self._waiting: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def click(self, image: str, annotator: str) -> None:
        """Note that somebody works on an image; this takes microseconds."""
        now, key = time.monotonic(), (image, annotator)
        if now - self._last.get(key, -_EVERY_S) < _EVERY_S:
            return
        with self._lock:
            if len(self._last) > _KEPT:
                self._last.clear()
            self._last[key] = now
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="leases", daemon=True)
                self._thread.start()
        self._waiting.put(key)

    def _work(self) -> None:
        while True:
            image, annotator = self._waiting.get()
            try:
                self._store.touch(image, annotator)
            except Exception as error:  # one click that cannot be noted ends nobody else's lease
                logger.warning("A lease could not be renewed (%s).", type(error).__name__)
