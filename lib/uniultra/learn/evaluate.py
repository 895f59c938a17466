"""How good a model is on pictures it never saw, and whether it obeys its prompts.

Component rule: every number is of the largest 8-connected component of a mask. Empty masks take part
in nothing and are counted as `n_empty`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from tqdm import tqdm

from uniultra.images.types import Picture, Plane, PlaneAxis
from uniultra.learn.data import load_pair, manifest, scored_sets
from uniultra.learn.synthetic import scene
from uniultra.metrics.overlap import dice, ellipse_in, iou
from uniultra.predict import Predictor
from uniultra.prompts.simulate import center_click, components, corrective_click, tight_box
from uniultra.prompts.types import Box, Mask, MaskPrompt, Point, PromptSet

# Sets of one-pixel lines, for which the plain Dice of a filled mask means nothing.
LINES = ("dltrack_fascicle",)
APART = 30  # pixels between a labelled component and a click that means something else
STILL = Plane("k", 0)

# What a model must reach to be shipped.
LIMITS = {
    "two_clicks_iou": 0.3,  # at most, median
    "two_structures_iou": 0.3,  # at most, median
    "holds_click": 0.95,  # at least
    "excludes_negative": 0.95,  # at least
    "box_minus_shuffled": 0.2,  # at least
}


@dataclass(frozen=True, eq=False)
class Still:
    """A picture in memory as a source of frames."""

    pixels: Picture

    @property
    def content_hash(self) -> str:
        return hashlib.sha256(self.pixels.tobytes()).hexdigest()

    def plane_shape(self, axis: PlaneAxis) -> tuple[int, int]:
        return self.pixels.shape[0], self.pixels.shape[1]

    def picture(self, plane: Plane) -> Picture:
        return self.pixels


@dataclass(frozen=True)
class SetScore:
    """Mean Dice over the non-empty test pictures of one set."""

    n: int
    n_empty: int
    dice_click: float
    dice_box: float
    dice_ellipse_in_box: float
    score_error: float  # mean |predicted IoU - IoU| of the box masks


@dataclass(frozen=True)
class Obedience:
    """Whether the prompt decides the answer; see LIMITS for what must be reached."""

    two_clicks_iou: float
    two_structures_iou: float
    holds_click: float
    excludes_negative: float
    box_minus_shuffled: float
    n_pictures: int
    n_scenes: int

    @property
    def failures(self) -> list[str]:
        """Names of the limits that are missed."""
        values = asdict(self)
        return [
            name
            for name, limit in LIMITS.items()
            if (values[name] >= limit if name.endswith("iou") else values[name] < limit)
        ]


@dataclass(frozen=True, eq=False)
class _Case:
    dataset: str
    source: Still
    truth: Mask


def evaluate(
    predictor: Predictor,
    data: Path,
    datasets: Sequence[str] | None = None,
    *,
    limit: int | None = None,
    scenes: int = 60,
    seed: int = 7,
) -> tuple[dict[str, SetScore], Obedience]:
    """Score a model on the `test` rows of a data folder.

    Args:
        predictor: the model.
        data: folder with manifest.csv.
        datasets: names of the sets; None takes all that have `test` rows but those in LINES.
        limit: at most so many pictures of each set, for a quick look.
        scenes: generated pictures for the two-structures test.
        seed: of the random clicks and of the scenes, which training never drew.
    """
    rng = np.random.default_rng(seed)
    scores: dict[str, SetScore] = {}
    cases: list[_Case] = []
    box_dice: list[float] = []
    clicks: list[tuple[Mask, Point]] = []
    for name in datasets or [s for s in scored_sets(data) if s not in LINES]:
        mine, n_empty, box_masks, click_masks = [], 0, [], []
        for row in tqdm(manifest(data, [name], ["test"])[:limit], desc=name):
            picture, mask = load_pair(row)
            if not mask.any():
                n_empty += 1
                continue
            case = _Case(name, Still(picture), components(mask)[0])
            click = center_click(case.truth)
            box, one = _ask(predictor, case, PromptSet(box=tight_box(case.truth)), PromptSet(points=(click,)))
            mine.append(case)
            box_masks.append(box)
            click_masks.append(one[0])
            clicks.append((one[0], click))
        truths = [c.truth for c in mine]
        boxes = [dice(m, t) for (m, _), t in zip(box_masks, truths, strict=True)]
        box_dice += boxes
        cases += mine
        scores[name] = SetScore(
            len(mine),
            n_empty,
            _mean(dice(m, t) for m, t in zip(click_masks, truths, strict=True)),
            _mean(boxes),
            _mean(dice(ellipse_in(tight_box(t), (t.shape[0], t.shape[1])), t) for t in truths),
            _mean(abs(s - iou(m, t)) for (m, s), t in zip(box_masks, truths, strict=True)),
        )
    return scores, _obedience(predictor, cases, clicks, box_dice, scenes, seed, rng)


def _obedience(
    predictor: Predictor,
    cases: list[_Case],
    clicks: list[tuple[Mask, Point]],
    box_dice: list[float],
    scenes: int,
    seed: int,
    rng: np.random.Generator,
) -> Obedience:
    elsewhere, excluded, held = [], [], [_at(m, p) for m, p in clicks]
    for case, (first, click) in tqdm(list(zip(cases, clicks, strict=True)), desc="obedience"):
        other = _other_click(case.truth, rng)
        if other is not None:
            [(second, _)] = _ask(predictor, case, PromptSet(points=(other,)))
            elsewhere.append(iou(first, second))
            held.append(_at(second, other))
        surplus = corrective_click(first, first & case.truth)
        if surplus is not None and not surplus.positive:
            refined = PromptSet(points=(click, surplus), mask=MaskPrompt(first))
            [(corrected, _)] = _ask(predictor, case, refined)
            excluded.append(not _at(corrected, surplus))
    shuffled = _shuffled_box_dice(predictor, cases, rng)
    return Obedience(
        two_clicks_iou=float(np.median(elsewhere)),
        two_structures_iou=_two_structures(predictor, scenes, seed),
        holds_click=_mean(held),
        excludes_negative=_mean(excluded),
        box_minus_shuffled=_mean(box_dice) - shuffled,
        n_pictures=len(cases),
        n_scenes=scenes,
    )


def _shuffled_box_dice(predictor: Predictor, cases: list[_Case], rng: np.random.Generator) -> float:
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
        [(mask, _)] = _ask(predictor, case, PromptSet(box=foreign))
        values.append(dice(mask, case.truth))
    return _mean(values)


def _two_structures(predictor: Predictor, scenes: int, seed: int) -> float:
    """Median IoU of the masks of two structures of a generated scene, one click each."""
    found: list[float] = []
    number = 0
    while len(found) < scenes:
        drawn = scene(np.random.default_rng([seed, number]))
        number += 1
        apart = [n for n in range(len(drawn.targets)) if drawn.clickable[n].sum() > 200]
        if len(apart) < 2 or iou(drawn.targets[apart[0]], drawn.targets[apart[1]]) > 0.05:
            continue
        case = _Case("synthetic", Still(drawn.picture), drawn.targets[apart[0]])
        sets = [PromptSet(points=(center_click(drawn.clickable[n]),)) for n in apart[:2]]
        (first, _), (second, _) = _ask(predictor, case, *sets)
        found.append(iou(first, second))
    return float(np.median(found))


def _other_click(truth: Mask, rng: np.random.Generator) -> Point | None:
    """A click at least APART pixels outside the labelled component, or None where there is no room."""
    far = ndimage.distance_transform_edt(~truth) >= APART
    rows, columns = np.nonzero(far)
    if not len(rows):
        return None
    n = rng.integers(len(rows))
    return Point(float(columns[n]), float(rows[n]))


def _ask(predictor: Predictor, case: _Case, *prompts: PromptSet) -> list[tuple[NDArray[np.bool_], float]]:
    return [(p.mask, p.score) for p in predictor.predict(case.source, STILL, prompts)]


def _at(mask: Mask, point: Point) -> bool:
    return bool(mask[round(point.y), round(point.x)])


def _mean(values: Iterable[float | bool]) -> float:
    return float(np.mean(list(values)))


def report(scores: dict[str, SetScore], obedience: Obedience) -> dict[str, Any]:
    """The numbers as plain data, for a JSON file."""
    return {
        "component_rule": "largest 8-connected component",
        "sets": {name: asdict(score) for name, score in scores.items()},
        "obedience": asdict(obedience),
        "limits": LIMITS,
        "failures": obedience.failures,
    }


def table(scores: dict[str, SetScore], obedience: Obedience) -> str:
    """The numbers as text for a terminal."""
    lines = [f"{'test set':22}{'n':>5}{'empty':>7}{'1 click':>9}{'box':>8}{'ellipse in box':>16}"]
    lines += [
        f"{name:22}{s.n:5}{s.n_empty:7}{s.dice_click:9.3f}{s.dice_box:8.3f}{s.dice_ellipse_in_box:16.3f}"
        for name, s in scores.items()
    ]
    lines.append("")
    values = asdict(obedience)
    for name, limit in LIMITS.items():
        sign = "<" if name.endswith("iou") else ">="
        verdict = "missed" if name in obedience.failures else "reached"
        lines.append(f"{name:22}{values[name]:8.3f}   wanted {sign} {limit:g}: {verdict}")
    return "\n".join(lines)
