"""The whole page as JSON, made at most every second or two however many look at it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable

from uniultra.active.registry import DEFAULT
from uniultra.errors import ModelError, RequestError
from uniultra.serve.dashboard import learning
from uniultra.serve.dashboard.comparisons import Comparisons
from uniultra.serve.dashboard.notices import notices
from uniultra.serve.dashboard.queue import queue
from uniultra.serve.dashboard.schema import CampaignHead, CampaignStructure, Page, Queue
from uniultra.serve.dashboard.thumbnails import Thumbnails
from uniultra.serve.scoring.rankings import Rankings
from uniultra.store import progress
from uniultra.store.store import LabelStore
from uniultra.weights.deployed import Current, Published

FRESH_S = 1.0
SHARE = 10  # making it anew takes at most one part of so many of a processor's time


class CampaignPage:
    """What the page of one store says. Thread safe; nothing is read before the first question.

    Args:
        store: the labels.
        after: new labels after which a training begins by itself.
        rankings: orders units; None where nothing does.
    """

    def __init__(
        self,
        store: LabelStore,
        after: Callable[[], int] = lambda: 0,
        rankings: Callable[[], Rankings | None] = lambda: None,
    ) -> None:
        self.store, self._after, self._rankings = store, after, rankings
        self.comparisons = Comparisons(store)
        self.thumbnails = Thumbnails()
        self._jobs = learning.Jobs(store.studies)
        self._making = threading.Lock()
        self._last: tuple[str, bytes] | None = None
        self._until = 0.0

    def answer(self) -> tuple[str, bytes]:
        """ETag and JSON; of several who ask at once one makes it, the others get the one before.

        Raises:
            StoreError, CampaignError: the store or the campaign file cannot be used.
        """
        if self._last is not None and time.monotonic() < self._until:
            return self._last
        if not self._making.acquire(blocking=self._last is None):
            return self._last  # type: ignore[return-value]
        try:
            if self._last is not None and time.monotonic() < self._until:
                return self._last
            began = time.monotonic()
            body = self.make().model_dump_json().encode()
            took = time.monotonic() - began
            self._last = f'"{hashlib.sha256(body).hexdigest()[:32]}"', body
            self._until = time.monotonic() + max(FRESH_S, SHARE * took)
            return self._last
        finally:
            self._making.release()

    def make(self) -> Page:
        """The page as it is now."""
        store = self.store
        store.ready()
        snapshot, campaign = progress.Snapshot.read(store), store.campaign
        jobs, errors = self._jobs.read(), list[str]()
        try:
            current = Published(store.studies).read()
        except ModelError as error:
            current = Current()
            errors.append(str(error))
        adapters = learning.adapters(current, jobs)
        trained_on = self._jobs.trained_on(jobs[-1]) if jobs else frozenset()
        after = self._after()
        missing = max(0, after - len(store.trainable_revisions() - trained_on)) if after else None
        structures = tuple(CampaignStructure(name=each.name, color=each.color) for each in campaign.labels)
        return Page(
            today=progress.day_of(snapshot.now),
            campaign=CampaignHead(name=campaign.name, structures=structures, readers=campaign.readers),
            notices=notices(store, snapshot, jobs, adapters, errors),
            progress=progress.unit_counts(snapshot),
            annotators=progress.annotators(snapshot),
            days=progress.days(snapshot),
            efforts=progress.efforts(snapshot),
            adapters=adapters,
            agreement=self.comparisons.agreement(),
            training=learning.training(jobs, missing),
            queue=self._queue(campaign.strategy or DEFAULT),
        )

    def _queue(self, strategy: str) -> Queue:
        waiting, rankings = self.store.unlabelled(), self._rankings()
        try:
            return queue(strategy, waiting, rankings)
        except RequestError:  # the campaign names a strategy that is not there
            return queue(DEFAULT, waiting, rankings)
