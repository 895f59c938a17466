"""The whole page as JSON, made at most every second or two however many look at it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from uniultra.active.registry import DEFAULT
from uniultra.errors import ModelError, RequestError
from uniultra.serve.dashboard import learning, people
from uniultra.serve.dashboard.agreeing import Comparing
from uniultra.serve.dashboard.facts import Facts, day_of
from uniultra.serve.dashboard.notices import notices
from uniultra.serve.dashboard.progress import progress
from uniultra.serve.dashboard.queue import Ranking, queue
from uniultra.serve.dashboard.schema import Campaign, Page, Queue, Structure
from uniultra.serve.dashboard.thumbnails import Thumbnails
from uniultra.weights.deployed import Current, Published

if TYPE_CHECKING:
    from uniultra.store.store import LabelStore

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
        rankings: Callable[[], Ranking | None] = lambda: None,
    ) -> None:
        self.store, self._after, self._rankings = store, after, rankings
        self.comparing = Comparing(store)
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
        facts, campaign = Facts.read(store), store.campaign
        known, told = self._jobs.read(), list[str]()
        try:
            current = Published(store.studies).read()
        except ModelError as error:
            current = Current()
            told.append(str(error))
        adapters = learning.adapters(current, known)
        had = self._jobs.had(known[-1]) if known else frozenset()
        missing = learning.missing(facts, had, self._after(), campaign.trains)
        structures = tuple(Structure(name=one.name, color=one.color) for one in campaign.labels)
        return Page(
            today=day_of(facts.now),
            campaign=Campaign(name=campaign.name, structures=structures, readers=campaign.readers),
            notices=notices(store, facts, known, adapters, told),
            progress=progress(facts),
            annotators=people.annotators(facts),
            days=people.days(facts),
            efforts=people.efforts(facts),
            adapters=adapters,
            agreement=self.comparing.agreement(),
            training=learning.training(known, missing),
            queue=self._queue(campaign.strategy or DEFAULT),
        )

    def _queue(self, strategy: str) -> Queue:
        waiting, rankings = self.store.unlabelled(), self._rankings()
        try:
            return queue(strategy, waiting, rankings)
        except RequestError:  # the campaign names a strategy that is not there
            return queue(DEFAULT, waiting, rankings)
