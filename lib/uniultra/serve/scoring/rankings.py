"""Ranks units with a query strategy from cached scores only; never runs a network."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Sequence

import numpy as np

from uniultra.active import registry
from uniultra.active.pool import BATCH
from uniultra.active.score_store import Scored, ScoreStore
from uniultra.active.scoring import UnitScore, pool_of
from uniultra.store.types import Unit

STEPS = 20  # an order is made anew when another twentieth of the units has been scored


class Rankings:
    """Orders units by the strategies' names.

    An order holds for a round, that is until there are labels for another batch, so that a batch that was
    chosen together is handed out together; it is made anew when another adapter has scored the units.

    Args:
        scores: what is known of the units.
        scored: under what a unit's scores are kept, None where nothing is known of it.
        labelled: the units that are labelled.
        batch: labels between two trainings.
        asked: called at every question, for example to let scoring begin.
        seed: of what is left to chance.
    """

    def __init__(
        self,
        scores: ScoreStore,
        scored: Callable[[Unit], Scored | None],
        labelled: Callable[[], Collection[Unit]],
        *,
        batch: int = BATCH,
        asked: Callable[[], None] = lambda: None,
        seed: int = 0,
    ) -> None:
        self._scores, self._scored, self._labelled = scores, scored, labelled
        self._batch, self._asked, self._seed = batch, asked, seed
        self._known: dict[str, tuple[tuple[object, ...], dict[Unit, int]]] = {}
        self._lock = threading.Lock()

    def order(self, strategy: str, units: Sequence[Unit]) -> list[Unit]:
        """All of `units`, what to label first in front; those without scores follow by chance.

        Raises:
            RequestError: no such strategy; the text lists those there are.
        """
        registry.strategy(strategy)
        self._asked()
        if not units:
            return []
        places = {unit: self._scored(unit) for unit in units}
        generation = self._scores.generation([one for one in places.values() if one is not None])
        known = {unit: self._score(place, generation) for unit, place in places.items() if place is not None}
        labelled = set(self._labelled())
        count = sum(score is not None for score in known.values())
        state = (generation, len(labelled) // self._batch, count * STEPS // len(units))
        with self._lock:
            before = self._known.get(strategy)
        if before is None or before[0] != state or any(unit not in before[1] for unit in units):
            before = (state, self._ranked(strategy, state, units, known, labelled, generation))
            with self._lock:
                self._known[strategy] = before
        return sorted(units, key=before[1].__getitem__)

    def score(self, unit: Unit) -> UnitScore | None:
        """What is known of one unit now, None where nothing is."""
        place = self._scored(unit)
        return None if place is None else self._score(place, self._scores.generation([place]))

    def _ranked(
        self,
        strategy: str,
        state: tuple[object, ...],
        units: Sequence[Unit],
        known: dict[Unit, UnitScore | None],
        labelled: set[Unit],
        generation: str | None,
    ) -> dict[Unit, int]:
        done = sorted(labelled - set(units))
        everything = [*units, *done]
        for unit in done:
            place = self._scored(unit)
            known[unit] = None if place is None else self._score(place, generation)
        pool = pool_of(
            [known.get(unit) for unit in everything],
            np.arange(len(everything)) >= len(units),
            np.random.default_rng(self._chance(strategy, state[:2])),
            groups=[unit.image for unit in everything],
            batch=self._batch,
            labels=len(labelled),
        )
        order = registry.order(strategy, pool)
        return {everything[place]: n for n, place in enumerate(order)}

    def _score(self, place: Scored, generation: str | None) -> UnitScore | None:
        return None if generation is None else self._scores.get(place, generation)

    def _chance(self, strategy: str, state: tuple[object, ...]) -> list[int]:
        told = f"{self._seed} {strategy} {state}".encode()
        return list(hashlib.sha256(told).digest())
