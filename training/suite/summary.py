"""Means over test sets with their intervals from picture scores, over any number of seeds."""

from __future__ import annotations

import statistics

from suite.protocol import PROMPTS
from suite.schema import THRESHOLDS, ClickScore, Metric, PromptScore, SetSummary
from uniultra.errors import RequestError
from uniultra.evaluate import summaries
from uniultra.evaluate.scoring import key
from uniultra.evaluate.summaries import Runs, by_set
from uniultra.metrics.intervals import Estimate


def summarise(runs: Runs, clicks: int) -> list[SetSummary]:
    """Means per test set, in order of first appearance.

    Args:
        runs: picture scores of each seed; all seeds must have scored the same pictures.
        clicks: maximum number of clicks of the protocol.

    Raises:
        RequestError: no scores, or seeds that scored different pictures.
    """
    names = list(dict.fromkeys(picture.dataset for run in runs for picture in run))
    if not names:
        raise RequestError("Expected scores of at least one picture; got none.")
    return [_set(name, _of_set(runs, name), clicks) for name in names]


def compare(first: Runs, second: Runs, dataset: str, prompt: str, metric: Metric) -> Estimate | None:
    """Paired difference `first` minus `second`; None if one of them lacks the score.

    Raises:
        RequestError: they scored different pictures.
    """
    tables = _of_set(first, dataset), _of_set(second, dataset)
    return summaries.difference(*tables, key(metric, PROMPTS[prompt]), paired_seeds=False)


def _of_set(runs: Runs, dataset: str) -> Runs:
    return [by_set(run).get(dataset, []) for run in runs]


def _set(name: str, runs: Runs, clicks: int) -> SetSummary:
    estimates = summaries.summarise(runs)
    pictures = [picture for run in runs for picture in run]
    marked = [float(picture.marked) for picture in pictures if picture.marked is not None]
    prompts = {prompt: _prompt(estimates, question) for prompt, question in PROMPTS.items()}
    labelled = sum(bool(picture.values) for picture in runs[0])
    return SetSummary(
        dataset=name,
        n=labelled,
        n_empty=len(runs[0]) - labelled,
        prompts={prompt: score for prompt, score in prompts.items() if score},
        clicks={
            str(share): ClickScore(noc=estimates[f"noc{share}"], failed=estimates[f"nof{share}"])
            for share in THRESHOLDS
            if f"noc{share}" in estimates
        },
        dice_by_click=_dice_by_click([picture.ious for picture in pictures if picture.ious], clicks),
        marked=statistics.fmean(marked) if marked else None,
        seconds_image=summaries.median(picture.seconds_image for picture in pictures),
        seconds_prompt=summaries.median(picture.seconds_prompt for picture in pictures),
    )


def _prompt(estimates: dict[str, Estimate], question: str) -> PromptScore | None:
    dice, iou, px, mm = (
        estimates.get(key(measure, question)) for measure in ("dice", "iou", "hd95_px", "hd95_mm")
    )
    if dice is None or iou is None:
        return None
    return PromptScore(dice=dice, iou=iou, hd95_px=px, hd95_mm=mm, undefined=dice.n - (px.n if px else 0))


def _dice_by_click(runs: list[tuple[float, ...]], clicks: int) -> tuple[float, ...]:
    """Mean Dice after each click; the last answer counts for clicks that were not made."""
    after = ([ious[min(k, len(ious) - 1)] for ious in runs] for k in range(clicks if runs else 0))
    return tuple(statistics.fmean(2 * iou / (1 + iou) for iou in ious) for ious in after)
