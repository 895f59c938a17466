"""A campaign on one set, replayed: the strategy asks, the set's masks answer, the model is adapted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from uniultra.active import registry
from uniultra.active.prototypes import prototypes
from uniultra.active.scoring import UnitScore, pool_of, score_unit
from uniultra.active.self_prompt import Prober
from uniultra.adapt.pictures import Labelled
from uniultra.adapt.scoring import ScoringCase, scores
from uniultra.datasets.samples import SMALLEST
from uniultra.evaluate.campaigns.simulation_kept import KeptRounds
from uniultra.evaluate.campaigns.simulation_schema import Round
from uniultra.models.registry import ModelEntry
from uniultra.networks.network import Embedding, PromptNetwork
from uniultra.prompts.simulation.clicks_boxes import components

Fit = Callable[[PromptNetwork, Sequence[Labelled], int], PromptNetwork]
START, FULL = "start", "full"  # kept beside the strategies: no label, and all


@dataclass(eq=False)
class Replay:
    """One set with its model.

    Attributes:
        name: of the set.
        network, model: the base that every round adapts anew, and how it is fed.
        pool: what may be labelled, with what the annotator would say.
        held_out: what is measured on.
        fit: adapts the base to labelled pictures with a seed.
        kept: finished rounds.
    """

    name: str
    network: PromptNetwork
    model: ModelEntry
    pool: Sequence[Labelled]
    held_out: Sequence[ScoringCase]
    fit: Fit = field(repr=False)
    kept: KeptRounds = field(repr=False)
    _first: dict[bool, list[UnitScore]] = field(default_factory=dict, repr=False)

    def start(self) -> Round:
        """The base model before any label."""
        found = self.kept.get(START, 0, 0)
        if found is None:
            found = self._measured(self.network, (), (), 0.0)
            self.kept.put(START, 0, 0, found)
        return found

    def full(self, seed: int) -> Round:
        """The model with everything labelled."""
        found = self.kept.get(FULL, seed, 0)
        if found is None:
            everything = tuple(range(len(self.pool)))
            network, seconds = self._adapted(everything, seed)
            found = self._measured(network, everything, (), seconds)
            self.kept.put(FULL, seed, 0, found)
        return found

    def campaign(
        self, strategy: str, seed: int, rounds: int, batch: int, told: Callable[[], None] | None = None
    ) -> list[Round]:
        """All rounds of one campaign; what is kept already is not run again.

        Args:
            strategy: name in the registry.
            seed: of the strategy and of training; strategies of one seed train alike.
            rounds, batch: how many, and the labels of each.
            told: called after each round.
        """
        done: list[Round] = []
        for number in range(rounds):
            found = self.kept.get(strategy, seed, number)
            if found is None or (number + 1 < rounds and not found.then):  # fewer rounds were wanted then
                found = self._round(strategy, seed, number, batch, done[-1] if done else None, rounds)
                self.kept.put(strategy, seed, number, found)
            done.append(found)
            if told is not None:
                told()
        return done

    def _round(
        self, strategy: str, seed: int, number: int, batch: int, before: Round | None, rounds: int
    ) -> Round:
        if before is None:
            labelled = self._choice(strategy, seed, 0, batch, self.network, ())
        else:
            labelled = (*before.labelled, *before.then)
        network, seconds = self._adapted(labelled, seed)
        then: tuple[int, ...] = ()
        if number + 1 < rounds:
            then = self._choice(strategy, seed, number + 1, batch, network, labelled)
        return self._measured(network, labelled, then, seconds)

    def _choice(
        self,
        strategy: str,
        seed: int,
        number: int,
        batch: int,
        network: PromptNetwork,
        labelled: tuple[int, ...],
    ) -> tuple[int, ...]:
        """The strategy's next batch, with what `network` says of the pool."""
        marked = np.zeros(len(self.pool), bool)
        marked[list(labelled)] = True
        # Every strategy draws from the same chance, set by set, so that seeds can be paired.
        rng = np.random.default_rng([seed, number, *self.name.encode()])
        groups = [one.group for one in self.pool]
        found = pool_of(self._scored(strategy, network, labelled), marked, rng, groups=groups, batch=batch)
        return tuple(int(place) for place in registry.order(strategy, found)[:batch])

    def _scored(
        self, strategy: str, network: PromptNetwork, labelled: tuple[int, ...]
    ) -> Sequence[UnitScore | None]:
        needs = registry.strategy(strategy).needs
        if not needs:
            return [None] * len(self.pool)
        views = "disagreement" in needs
        if network is not self.network:
            return self._asked(network, labelled, views)
        if views not in self._first:
            self._first[views] = self._asked(network, labelled, views)
        return self._first[views]

    def _asked(self, network: PromptNetwork, labelled: tuple[int, ...], views: bool) -> list[UnitScore]:
        prober = Prober(network, self.model)
        with torch.inference_mode():
            known: dict[int, Embedding] = {n: prober.encode(self.pool[n].picture) for n in labelled}
            seen = [(self.pool[n].name, *prober.seen(known[n], self.pool[n].mask)) for n in labelled]
            found = prototypes(seen)
        return [
            score_unit(prober, one.picture, found, known.get(n), views=views)
            for n, one in enumerate(self.pool)
        ]

    def _adapted(self, labelled: tuple[int, ...], seed: int) -> tuple[PromptNetwork, float]:
        """The base adapted to labels; itself where none of them has anything to learn."""
        pictures = [self.pool[n] for n in labelled]
        if not any(components(one.mask, SMALLEST) for one in pictures):
            return self.network, 0.0
        began = time.perf_counter()
        return self.fit(self.network, pictures, seed), time.perf_counter() - began

    def _measured(
        self, network: PromptNetwork, labelled: tuple[int, ...], then: tuple[int, ...], seconds: float
    ) -> Round:
        dice = scores(network, self.model, self.held_out)
        masks = [self.pool[n].mask for n in labelled]
        pixels = sum(mask.size for mask in masks)
        return Round(
            labelled=labelled,
            then=then,
            click=tuple(float(one) for one in dice[:, 0]),
            box=tuple(float(one) for one in dice[:, 1]),
            foreground=sum(int(mask.sum()) for mask in masks) / pixels if pixels else 0.0,
            seconds=seconds,
        )
