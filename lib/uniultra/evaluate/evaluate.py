"""Quick evaluation on test pictures: one click, one tight box, and prompt obedience.

Component rule: every number is of the largest 8-connected component of a mask. Pictures without a label are
left out of the means and counted as `n_empty`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uniultra.datasets.manifest import read_manifest, scored_sets
from uniultra.evaluate.markdown import number
from uniultra.evaluate.obedience import Obedience, ObedienceCase, at_most, obedience
from uniultra.evaluate.records import EvaluationProtocol, PictureScore
from uniultra.evaluate.scoring import LINES, Question, score
from uniultra.evaluate.summaries import column
from uniultra.predict import Predictor

ONCE = EvaluationProtocol(clicks=1, seeds=0, click_jitter=0)  # one click, one tight box


@dataclass(frozen=True)
class SetMeans:
    """Mean Dice over the labelled test pictures of one set."""

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
) -> tuple[dict[str, SetMeans], Obedience]:
    """Score a model on the `test` rows of a data folder.

    Args:
        predictor: the model.
        data: folder with manifest.csv.
        datasets: names of the sets; None takes all sets with `test` rows except those of `scoring.LINES`.
        limit: maximum number of pictures per set, for a quick look.
        scenes: generated pictures for the two-structures test.
    """
    sets: dict[str, SetMeans] = {}
    cases: list[ObedienceCase] = []
    questions = {"@1": Question(), "_box": Question()}
    for name in datasets or [s for s in scored_sets(data) if s not in LINES]:
        rows = read_manifest(data, [name], ["test"])[:limit]
        scores = score(
            predictor, rows, ("point", "box"), ONCE, questions, lines=(), cases=cases, progress=name
        )
        sets[name] = _means(scores)
    return sets, obedience(predictor, cases, scenes=scenes)


def _means(scores: Sequence[PictureScore]) -> SetMeans:
    labelled = [picture for picture in scores if picture.values]
    click, box, ellipse = (
        float(np.mean(column([labelled], key))) for key in ("dice@1", "dice_box", "ellipse_box")
    )
    pairs = [pair for picture in labelled for pair in picture.judged.get("box", ())]
    errors = [abs(predicted - actual) for predicted, actual in pairs]
    n_empty = len(scores) - len(labelled)
    return SetMeans(len(labelled), n_empty, click, box, ellipse, float(np.mean(errors)))


def report(sets: dict[str, SetMeans], obedience: Obedience) -> dict[str, Any]:
    """The numbers as plain data, for a JSON file."""
    return {
        "component_rule": "largest 8-connected component",
        "sets": {name: asdict(means) for name, means in sets.items()},
        "obedience": obedience.model_dump(include={"n_pictures", "n_scenes"}) | obedience.values,
        "limits": obedience.limits,
        "failures": obedience.failures,
    }


def table(sets: dict[str, SetMeans], obedience: Obedience) -> str:
    """The numbers as text for a terminal."""
    lines = [f"{'test set':22}{'n':>5}{'empty':>7}{'1 click':>9}{'box':>8}{'ellipse in box':>16}"]
    lines += [
        f"{name:22}{s.n:5}{s.n_empty:7}{s.dice_click:9.3f}{s.dice_box:8.3f}{s.dice_ellipse_in_box:16.3f}"
        for name, s in sets.items()
    ]
    lines.append("")
    for name, limit in obedience.limits.items():
        bound = f"{'<' if at_most(name) else '>='} {limit:g}"
        verdict = "missed" if name in obedience.failures else "reached"
        lines.append(f"{name:22}{number(obedience.values[name]):>8}   required {bound}: {verdict}")
    return "\n".join(lines)
