"""Replays a campaign on one labelled set: a strategy picks pictures, the model adapts to their masks."""

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
from uniultra.evaluate.campaigns.kept_rounds import KeptRounds
from uniultra.evaluate.campaigns.schema import Round
from uniultra.models.registry import ModelEntry
from uniultra.networks.network import Embedding, PromptNetwork
from uniultra.prompts.simulation.clicks_boxes import components

Fit = Callable[[PromptNetwork, Sequence[Labelled], int], PromptNetwork]
START, FULL = "start", "full"  # stored beside the strategies: rounds without labels, and with all labels


@dataclass(eq=False)
class Replay:
    """One set with its base model.

    Attributes:
        name: name of the set.
        network, model: the base network that every round adapts anew, and its registry entry.
        pool: pictures to choose from, with the labels an annotator would draw.
        held_out: objects to measure on.
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
        return self.kept.once(START, 0, 0, lambda: self._trained((), 0)[1])

    def full(self, seed: int) -> Round:
        """The model adapted to the whole pool."""
        everything = tuple(range(len(self.pool)))
        return self.kept.once(FULL, seed, 0, lambda: self._trained(everything, seed)[1])

    def campaign(
        self, strategy: str, seed: int, rounds: int, batch: int, progress: Callable[[], object]
    ) -> list[Round]:
        """All rounds of one campaign; stored rounds are not run again.

        Args:
            strategy: name in the registry.
            seed: seeds the strategy and the training; all strategies train alike with one seed.
            rounds: number of rounds.
            batch: labels per round.
            progress: called after each round.
        """
        done: list[Round] = []
        for number in range(rounds):
            last = number + 1 == rounds
            finished = self.kept.get(strategy, seed, number)
            # Resuming: a round is enough to go on from only if it stored the next batch. A stored last round
            # of a shorter campaign did not, so it is run again.
            if finished is None or not (last or finished.then):
                if done:
                    labelled = (*done[-1].labelled, *done[-1].then)
                else:
                    labelled = self._choice(strategy, seed, batch, self.network, ())
                network, finished = self._trained(labelled, seed)
                if not last:
                    then = self._choice(strategy, seed, batch, network, labelled)
                    finished = finished.model_copy(update={"then": then})
                self.kept.put(strategy, seed, number, finished)
            done.append(finished)
            progress()
        return done

    def _choice(
        self, strategy: str, seed: int, batch: int, network: PromptNetwork, labelled: tuple[int, ...]
    ) -> tuple[int, ...]:
        """The strategy's next batch, from `network`'s scores of the pool."""
        marked = np.zeros(len(self.pool), bool)
        marked[list(labelled)] = True
        # All strategies share the random stream of a set and seed, so that they can be compared in pairs.
        rng = np.random.default_rng([seed, len(labelled) // batch, *self.name.encode()])
        groups = [picture.group for picture in self.pool]
        pool = pool_of(self._scored(strategy, network, labelled), marked, rng, groups=groups, batch=batch)
        return tuple(int(index) for index in registry.order(strategy, pool)[:batch])

    def _scored(
        self, strategy: str, network: PromptNetwork, labelled: tuple[int, ...]
    ) -> Sequence[UnitScore | None]:
        needs = registry.strategy(strategy).needs
        if not needs:
            return [None] * len(self.pool)
        views = "disagreement" in needs
        if network is not self.network:
            return self._of_pool(network, labelled, views)
        if views not in self._first:
            self._first[views] = self._of_pool(network, labelled, views)
        return self._first[views]

    def _of_pool(self, network: PromptNetwork, labelled: tuple[int, ...], views: bool) -> list[UnitScore]:
        prober = Prober(network, self.model)
        with torch.inference_mode():
            embeddings: dict[int, Embedding] = {n: prober.encode(self.pool[n].picture) for n in labelled}
            seen = [(self.pool[n].name, *prober.seen(embeddings[n], self.pool[n].mask)) for n in labelled]
            classes = prototypes(seen)
        return [
            score_unit(prober, unit.picture, classes, embeddings.get(n), views=views)
            for n, unit in enumerate(self.pool)
        ]

    def _trained(self, labelled: tuple[int, ...], seed: int) -> tuple[PromptNetwork, Round]:
        """The base adapted to the labels (the base itself if they hold no structure), and its scores."""
        pictures = [self.pool[n] for n in labelled]
        network, seconds = self.network, 0.0
        if any(components(picture.mask, SMALLEST) for picture in pictures):
            began = time.perf_counter()
            network = self.fit(self.network, pictures, seed)
            seconds = time.perf_counter() - began
        dice = scores(network, self.model, self.held_out)
        pixels = sum(picture.mask.size for picture in pictures)
        foreground = sum(int(picture.mask.sum()) for picture in pictures)
        return network, Round(
            labelled=labelled,
            then=(),
            click=tuple(dice[:, 0].tolist()),
            box=tuple(dice[:, 1].tolist()),
            foreground=foreground / pixels if pixels else 0.0,
            seconds=seconds,
        )
