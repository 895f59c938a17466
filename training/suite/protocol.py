"""The suite's evaluation protocol, the same for all systems; see `uniultra.evaluate.scoring`.

- Clicks: the answers after 1, 3 and 5 clicks, and NoC. A model that takes masks refines its previous answer.
- Box: the tight box of the object, and boxes with every side moved by up to 10 % of the box's size, whose
  scores are averaged.
- Prompt-free models answer once: the whole answer against the whole label (`none`), and the largest
  component of the answer against the largest of the label (`none_largest`), to be compared with promptable
  models.

Distances are in pixels of the stored picture, and in mm if its pixel spacing is known.
"""

from __future__ import annotations

from collections.abc import Sequence

from suite.schema import SuiteProtocol
from uniultra.datasets.manifest import Row
from uniultra.evaluate.records import EvaluationProtocol, PictureScore
from uniultra.evaluate.scoring import Question, score
from uniultra.predict.still import Answers

# The question behind each prompt, in the order of tables.
PROMPTS = {
    "click_1": "@1",
    "click_3": "@3",
    "click_5": "@5",
    "box": "_box",
    "box_jitter": "_box_noisy",
    "none": "_none",
    "none_largest": "_none_largest",
}
QUESTIONS = dict.fromkeys(PROMPTS.values(), Question(iou=True, distances=("hd95",)))


def score_pictures(
    predictor: Answers,
    rows: Sequence[Row],
    prompts: Sequence[str],
    protocol: SuiteProtocol,
    progress: str | None = None,
) -> list[PictureScore]:
    """Score a model on pictures of a manifest, one score per row in their order.

    Args:
        predictor: the model.
        rows: the pictures; without sets of one-pixel lines, for which Dice is meaningless.
        prompts: prompt kinds that the model takes (`ModelEntry.prompts`); empty for a prompt-free model.
        protocol: how to prompt.
        progress: label of the progress bar; None shows no bar.
    """
    rule = EvaluationProtocol(
        clicks=protocol.clicks,
        until=protocol.until,
        at_least=5,
        seeds=protocol.jitters,
        box_jitter=protocol.jitter,
        click_jitter=0,
        seed=protocol.seed,
    )
    scores = score(predictor, rows, prompts, rule, QUESTIONS, lines=(), progress=progress)
    return [picture.averaged() for picture in scores]
