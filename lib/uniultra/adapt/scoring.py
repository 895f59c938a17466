"""Dice of a network on labelled pictures, after one click and for one box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uniultra.adapt.pictures import Labelled
from uniultra.datasets.samples import SMALLEST
from uniultra.images.types import Picture
from uniultra.metrics.overlap import dice
from uniultra.models.registry import ModelEntry
from uniultra.networks.network import PromptNetwork
from uniultra.predict import Predictor
from uniultra.predict.still import STILL, Still
from uniultra.prompts.simulation.clicks_boxes import center_click, components, tight_box
from uniultra.prompts.types import Mask, Point, PromptSet
from uniultra.synthesis.scene import scene

Scores = NDArray[np.float64]  # (N,2): Dice after one click, and for a tight box
SCENE_SEED = 90_001  # of the generated test scenes; no training uses it
PER_SCENE = 3


@dataclass(frozen=True, eq=False)
class ScoringCase:
    """A structure on a picture, and where an annotator would click on it."""

    picture: Picture
    truth: Mask
    click: Point
    group: str


def cases_of(labelled: Labelled) -> list[ScoringCase]:
    """The largest component of a label as a test case; an empty label has no case."""
    parts = components(labelled.mask, SMALLEST)[:1]
    return [ScoringCase(labelled.picture, part, center_click(part), labelled.group) for part in parts]


def scene_cases(size: int, count: int) -> list[ScoringCase]:
    """Structures of `count` generated scenes, the same in every call."""
    cases = []
    for n in range(count):
        drawn = scene(np.random.default_rng([SCENE_SEED, n]), size)
        for truth, free in list(zip(drawn.targets, drawn.clickable, strict=True))[:PER_SCENE]:
            cases.append(ScoringCase(drawn.picture, truth, center_click(free), f"scene {n}"))
    return cases


def scores(network: PromptNetwork, model: ModelEntry, cases: Sequence[ScoringCase]) -> Scores:
    """Dice `(N,2)` of a network's answers, in the order of the cases."""
    predictor = Predictor.of(network, model, device=str(next(network.parameters()).device))
    table = np.zeros((len(cases), 2))
    for n, case in enumerate(cases):
        prompts = (PromptSet(points=(case.click,)), PromptSet(box=tight_box(case.truth)))
        for k, answer in enumerate(predictor.predict(Still(case.picture), STILL, prompts)):
            table[n, k] = dice(answer.mask, case.truth)
    return table
