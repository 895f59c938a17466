"""How good a model is on pictures it never saw, and whether it obeys its prompts.

Component rule: every number is of the largest 8-connected component of a mask. Empty masks take part
in nothing and are counted as `n_empty`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from uniultra.datasets.manifest import load_pair, read_manifest, scored_sets
from uniultra.evaluate.obedience import LIMITS, Case, Obedience, obedience
from uniultra.metrics.overlap import dice, ellipse_in, iou
from uniultra.predict import Predictor
from uniultra.predict.still import STILL, Still
from uniultra.prompts.simulation.clicks_boxes import center_click, components, tight_box
from uniultra.prompts.types import PromptSet

# Sets of one-pixel lines, for which the plain Dice of a filled mask means nothing.
LINES = ("dltrack_fascicle",)


@dataclass(frozen=True)
class SetScore:
    """Mean Dice over the non-empty test pictures of one set."""

    n: int
    n_empty: int
    dice_click: float
    dice_box: float
    dice_ellipse_in_box: float
    score_error: float  # mean |predicted IoU - IoU| of the box masks


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
    scores: dict[str, SetScore] = {}
    cases: list[Case] = []
    for name in datasets or [s for s in scored_sets(data) if s not in LINES]:
        mine, errors, n_empty = [], [], 0
        for row in tqdm(read_manifest(data, [name], ["test"])[:limit], desc=name):
            picture, mask = load_pair(row)
            if not mask.any():
                n_empty += 1
                continue
            source, truth = Still(picture), components(mask)[0]
            click = center_click(truth)
            asked = (PromptSet(box=tight_box(truth)), PromptSet(points=(click,)))
            box, one = predictor.predict(source, STILL, asked)
            errors.append(abs(box.score - iou(box.mask, truth)))
            mine.append(Case(source, truth, click, one.mask, dice(box.mask, truth)))
        cases += mine
        truths = [case.truth for case in mine]
        scores[name] = SetScore(
            len(mine),
            n_empty,
            _mean(dice(case.clicked, case.truth) for case in mine),
            _mean(case.box_dice for case in mine),
            _mean(dice(ellipse_in(tight_box(t), (t.shape[0], t.shape[1])), t) for t in truths),
            _mean(errors),
        )
    return scores, obedience(predictor, cases, scenes=scenes, seed=seed)


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
