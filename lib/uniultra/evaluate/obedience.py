"""Whether a model obeys its prompts: clicks elsewhere, two structures of a scene, boxes of other pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from tqdm import tqdm

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
    """Whether a limit must not be exceeded: two masks that should differ overlap by less."""
    return name.endswith("iou")


@dataclass(frozen=True)
class Obedience:
    """Whether the prompt decides the answer; see LIMITS for what must be reached.

    A number is NaN where nothing could be asked: a model without a surplus pixel is never corrected.
    """

    two_clicks_iou: float
    two_structures_iou: float
    holds_click: float
    excludes_negative: float
    box_minus_shuffled: float
    n_pictures: int
    n_scenes: int

    @property
    def values(self) -> dict[str, float]:
        """What was measured, by the name of its limit."""
        return {name: getattr(self, name) for name in LIMITS}

    @property
    def failures(self) -> list[str]:
        """Names of the limits that are missed."""
        limits = ((name, value, LIMITS[name]) for name, value in self.values.items())
        return [name for name, value, limit in limits if (value >= limit if at_most(name) else value < limit)]


@dataclass(frozen=True, eq=False)
class ObedienceCase:
    """An object of a picture with what a model answered to its first click and to its tight box."""

    source: Still
    truth: Mask
    click: Point
    clicked: Mask
    box_dice: float


def obedience(
    answers: Answers, cases: Sequence[ObedienceCase], *, scenes: int = 60, seed: int = 7
) -> Obedience:
    """Ask a promptable model on labelled pictures and on generated scenes.

    Args:
        answers: the model that answered the cases' click and box; it takes points, boxes and masks.
        cases: not empty.
        scenes: generated pictures for the two-structures test.
        seed: of the random clicks and of the scenes, which training never drew.
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
    return Obedience(
        two_clicks_iou=_median(elsewhere),
        two_structures_iou=_two_structures(answers, scenes, seed),
        holds_click=_mean(held),
        excludes_negative=_mean(excluded),
        box_minus_shuffled=_mean(case.box_dice for case in cases) - shuffled,
        n_pictures=len(cases),
        n_scenes=scenes,
    )


def _shuffled_box_dice(answers: Answers, cases: Sequence[ObedienceCase], rng: np.random.Generator) -> float:
    """Mean Dice when every picture is given another picture's box, scaled to its size."""
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
    return _mean(values)


def _two_structures(answers: Answers, scenes: int, seed: int) -> float:
    """Median IoU of the masks of two structures of a generated scene, one click each."""
    found: list[float] = []
    number = 0
    while len(found) < scenes:
        drawn = scene(np.random.default_rng([seed, number]))
        number += 1
        apart = [n for n in range(len(drawn.targets)) if drawn.clickable[n].sum() > 200]
        if len(apart) < 2 or iou(drawn.targets[apart[0]], drawn.targets[apart[1]]) > 0.05:
            continue
        sets = [PromptSet(points=(center_click(drawn.clickable[n]),)) for n in apart[:2]]
        first, second = _ask(answers, Still(drawn.picture), *sets)
        found.append(iou(first, second))
    return _median(found)


def _other_click(truth: Mask, rng: np.random.Generator) -> Point | None:
    """A click at least APART pixels outside the labelled component, or None where there is no room."""
    far = ndimage.distance_transform_edt(~truth) >= APART
    rows, columns = np.nonzero(far)
    if not len(rows):
        return None
    n = rng.integers(len(rows))
    return Point(float(columns[n]), float(rows[n]))


def _ask(answers: Answers, source: Still, *prompts: PromptSet) -> list[Mask]:
    return [found.mask for found in answers.predict(source, STILL, prompts)]


def _at(mask: Mask, point: Point) -> bool:
    return bool(mask[round(point.y), round(point.x)])


def _mean(values: Iterable[float | bool]) -> float:
    numbers = list(values)
    return float(np.mean(numbers)) if numbers else float("nan")


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else float("nan")
