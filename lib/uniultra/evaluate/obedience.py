"""Prompt obedience: clicks elsewhere, two structures of a scene, corrective clicks, shuffled boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage
from tqdm import tqdm

from uniultra.evaluate.records import Record
from uniultra.metrics.interactive import next_click
from uniultra.metrics.overlap import dice, iou
from uniultra.predict.still import STILL, Answers, Still
from uniultra.prompts.simulation.clicks_boxes import center_click, tight_box
from uniultra.prompts.types import Box, Mask, MaskPrompt, Point, PromptSet
from uniultra.synthesis.scene import scene

APART = 30  # pixels between a labelled component and a click that means something else

# What a model must reach to be shipped.
LIMITS = {
    "two_clicks_iou": 0.3,  # at most, median
    "two_structures_iou": 0.3,  # at most, median
    "holds_click": 0.95,  # at least
    "excludes_negative": 0.95,  # at least
    "box_minus_shuffled": 0.2,  # at least
}


def at_most(name: str) -> bool:
    """Whether a limit is an upper bound: the overlap of two masks that should differ."""
    return name.endswith("iou")


class Obedience(Record):
    """Whether the prompt decides the answer.

    Attributes:
        values: by the names of LIMITS; None where a test had no case: a model whose masks have no surplus
            pixel is never corrected.
        limits: what must be reached.
        failures: names of the missed limits.
        n_pictures, n_scenes: labelled pictures and generated scenes that were prompted.
    """

    values: dict[str, float | None]
    limits: dict[str, float]
    failures: tuple[str, ...]
    n_pictures: int
    n_scenes: int

    @classmethod
    def of(cls, values: dict[str, float | None], n_pictures: int, n_scenes: int) -> Obedience:
        """Compare the values with LIMITS."""
        missed = tuple(
            name
            for name, limit in LIMITS.items()
            if (value := values[name]) is not None and (value >= limit if at_most(name) else value < limit)
        )
        return cls(values=values, limits=LIMITS, failures=missed, n_pictures=n_pictures, n_scenes=n_scenes)


@dataclass(frozen=True, eq=False)
class ObedienceCase:
    """An object of a picture with a model's answers to its first click and to its tight box."""

    source: Still
    truth: Mask
    click: Point
    clicked: Mask
    box_dice: float


def obedience(
    answers: Answers, cases: Sequence[ObedienceCase], *, scenes: int = 60, seed: int = 7
) -> Obedience:
    """Test a promptable model on labelled pictures and on generated scenes.

    Args:
        answers: the model that answered the cases' click and box; it takes points, boxes and masks.
        cases: not empty.
        scenes: generated pictures for the two-structures test.
        seed: of the random clicks and of the scenes; training never draws these scenes.
    """
    rng = np.random.default_rng(seed)
    elsewhere, excluded, held = [], [], [_at(case.clicked, case.click) for case in cases]
    for case in tqdm(cases, desc="obedience"):
        other = _other_click(case.truth, rng)
        if other is not None:
            [second] = _ask(answers, case.source, PromptSet(points=(other,)))
            elsewhere.append(iou(case.clicked, second))
            held.append(_at(second, other))
        surplus = next_click(case.clicked, case.clicked & case.truth)
        if surplus is not None and not surplus.positive:
            refined = PromptSet(points=(case.click, surplus), mask=MaskPrompt(case.clicked))
            [corrected] = _ask(answers, case.source, refined)
            excluded.append(not _at(corrected, surplus))
    shuffled = _shuffled_box_dice(answers, cases, rng)
    values = {
        "two_clicks_iou": _reduced(np.median, elsewhere),
        "two_structures_iou": _reduced(np.median, _two_structures(answers, scenes, seed)),
        "holds_click": _reduced(np.mean, held),
        "excludes_negative": _reduced(np.mean, excluded),
        "box_minus_shuffled": float(np.mean([case.box_dice for case in cases]) - np.mean(shuffled)),
    }
    return Obedience.of(values, len(cases), scenes)


def _shuffled_box_dice(
    answers: Answers, cases: Sequence[ObedienceCase], rng: np.random.Generator
) -> list[float]:
    """Dice of every picture when it is given another picture's box, scaled to its size."""
    order = rng.permutation(len(cases))
    # A cycle through a random order, so that no picture keeps its own box.
    donors = dict(zip(order, np.roll(order, 1), strict=True))
    values = []
    for n, case in enumerate(tqdm(cases, desc="shuffled boxes")):
        donor = cases[donors[n]]
        box = tight_box(donor.truth)
        y = (case.truth.shape[0] - 1) / (donor.truth.shape[0] - 1)
        x = (case.truth.shape[1] - 1) / (donor.truth.shape[1] - 1)
        foreign = Box(box.x0 * x, box.y0 * y, box.x1 * x, box.y1 * y)
        [mask] = _ask(answers, case.source, PromptSet(box=foreign))
        values.append(dice(mask, case.truth))
    return values


def _two_structures(answers: Answers, scenes: int, seed: int) -> list[float]:
    """IoU of the masks of two structures of each generated scene, one click each."""
    ious: list[float] = []
    number = 0
    while len(ious) < scenes:
        drawn = scene(np.random.default_rng([seed, number]))
        number += 1
        apart = [n for n in range(len(drawn.targets)) if drawn.clickable[n].sum() > 200]
        if len(apart) < 2 or iou(drawn.targets[apart[0]], drawn.targets[apart[1]]) > 0.05:
            continue
        prompts = [PromptSet(points=(center_click(drawn.clickable[n]),)) for n in apart[:2]]
        first, second = _ask(answers, Still(drawn.picture), *prompts)
        ious.append(iou(first, second))
    return ious


def _other_click(truth: Mask, rng: np.random.Generator) -> Point | None:
    """A click at least APART pixels outside the labelled component; None if no pixel is that far."""
    rows, columns = np.nonzero(ndimage.distance_transform_edt(~truth) >= APART)
    if not len(rows):
        return None
    n = rng.integers(len(rows))
    return Point(float(columns[n]), float(rows[n]))


def _ask(answers: Answers, source: Still, *prompts: PromptSet) -> list[Mask]:
    return [prediction.mask for prediction in answers.predict(source, STILL, prompts)]


def _at(mask: Mask, point: Point) -> bool:
    return bool(mask[round(point.y), round(point.x)])


def _reduced(statistic: Callable[[Any], Any], values: Sequence[float | bool]) -> float | None:
    return float(statistic(values)) if values else None
