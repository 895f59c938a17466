"""Compares annotators in the background, for the campaign page.

A comparison reads two masks and takes a distance transform, so they are made in a thread of their own, one
image after the other; the page says how many are still waiting.
"""

from __future__ import annotations

import threading
import time

from uniultra.serve.dashboard.schema import CampaignAgreement
from uniultra.store.progress import compare, to_compare
from uniultra.store.review.agreement import Agreement
from uniultra.store.review.pooling import pooled
from uniultra.store.store import LabelStore

Revisions = tuple[int, ...]  # the same ones always compare the same
PAUSE_S = 0.05  # after each image, so that clicks go between


class Comparisons:
    """The comparisons of one store. Each is kept until a label of its image changes."""

    def __init__(self, store: LabelStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._done: dict[str, tuple[Revisions, list[Agreement]]] = {}
        self._waiting: dict[str, Revisions] = {}
        self._thread: threading.Thread | None = None

    def agreement(self) -> CampaignAgreement:
        """The agreement so far; starts comparing what is missing."""
        wanted = to_compare(self._store)
        with self._lock:
            fresh = {
                image: self._done[image][1]
                for image, revisions in wanted.items()
                if image in self._done and self._done[image][0] == revisions
            }
            self._waiting = {image: revisions for image, revisions in wanted.items() if image not in fresh}
            waiting = len(self._waiting)
            if waiting and not (self._thread and self._thread.is_alive()):
                self._thread = threading.Thread(target=self._compare, name="comparing", daemon=True)
                self._thread.start()
        return CampaignAgreement(**dict(pooled(fresh)), waiting=waiting)

    def wait(self, seconds: float) -> None:
        """Wait until nothing is being compared."""
        if thread := self._thread:
            thread.join(seconds)

    def _compare(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                image, revisions = self._waiting.popitem()
            compared = compare(self._store, image)
            with self._lock:
                self._done[image] = revisions, compared
            time.sleep(PAUSE_S)
