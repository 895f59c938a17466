"""Clicks on an image renew its lease, off the path of the click and not at every one."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

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
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="leases")

    def click(self, image: str, annotator: str) -> None:
        """Note that an annotator works on an image; this takes microseconds."""
        now, key = time.monotonic(), (image, annotator)
        if now - self._last.get(key, -_EVERY_S) < _EVERY_S:
            return
        with self._lock:
            if len(self._last) > _KEPT:
                self._last.clear()
            self._last[key] = now
        self._thread.submit(self._renew, image, annotator)

    def _renew(self, image: str, annotator: str) -> None:
        try:
            self._store.touch(image, annotator)
        except Exception as error:  # a click that cannot be noted ends no other annotator's lease
            logger.warning("A lease could not be renewed (%s).", type(error).__name__)
