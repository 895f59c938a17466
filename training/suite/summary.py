"""From scores of pictures to means of test sets with their intervals, over any number of seeds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from suite.schema import PROMPTS, THRESHOLDS, ClickScore, Metric, PictureScore, PromptScore, SetScore
from uniultra.errors import RequestError
from uniultra.metrics.interactive import MAX_CLICKS, clicks_needed, failed
from uniultra.metrics.intervals import Estimate, difference_interval, mean_interval

Run = Sequence[PictureScore]  # one seed
Value = Callable[[PictureScore], float | None]


def summarise(runs: Sequence[Run], resamples: int = 2000) -> list[SetScore]:
    """Means per test set, in the order in which the sets come.

    Args:
        runs: the pictures' scores of each seed; every seed must have scored the same pictures.
        resamples: bootstrap samples of each interval.

    Raises:
        RequestError: no run, or seeds that scored different pictures.
    """
    names = list(dict.fromkeys(picture.dataset for run in runs for picture in run))
    if not names:
        raise RequestError("Expected scores of at least one picture; got none.")
    return [_Table(runs, name, resamples).summary() for name in names]


def compare(
    first: Sequence[Run],
    second: Sequence[Run],
    dataset: str,
    prompt: str,
    metric: Metric,
    resamples: int = 2000,
) -> Estimate | None:
    """The mean of `first` minus that of `second` on the same pictures; None where one has no such score.

    Raises:
        RequestError: the two scored different pictures.
    """
    tables = [_Table(runs, dataset, resamples) for runs in (first, second)]
    if tables[0].ids != tables[1].ids:
        raise RequestError("Expected two systems scored on the same pictures; got different ones.")
    values = [table.values(_answer(prompt, metric)) for table in tables]
    if any(np.isnan(v).all() for v in values):
        return None
    return difference_interval(values[0], values[1], tables[0].groups, resamples=resamples)


class _Table:
    """The scores of one test set: a line per seed, a column per picture."""

    def __init__(self, runs: Sequence[Run], dataset: str, resamples: int) -> None:
        self.dataset, self.resamples = dataset, resamples
        mine = [{p.id: p for p in run if p.dataset == dataset} for run in runs]
        if any(line.keys() != mine[0].keys() for line in mine):
            raise RequestError(
                f"Expected every seed to have scored the same pictures of {dataset}. Score them again."
            )
        self.lines = [[line[name] for name in mine[0]] for line in mine]
        self.ids = list(mine[0])
        self.groups = [picture.group for picture in self.lines[0]]

    def values(self, value: Value) -> NDArray[np.float64]:
        found = [[value(picture) for picture in line] for line in self.lines]
        return np.asarray([[np.nan if v is None else v for v in line] for line in found], float)

    def estimate(self, value: Value) -> Estimate | None:
        values = self.values(value)
        if np.isnan(values).all():
            return None
        return mean_interval(values, self.groups, resamples=self.resamples)

    def summary(self) -> SetScore:
        first = self.lines[0]
        labelled = sum(bool(picture.answers) for picture in first)
        flat = [picture for line in self.lines for picture in line]
        marked = [float(p.marked) for p in flat if p.marked is not None]
        prompts = {name: self.prompt(name) for name in PROMPTS}
        return SetScore(
            dataset=self.dataset,
            n=labelled,
            n_empty=len(first) - labelled,
            prompts={name: found for name, found in prompts.items() if found},
            clicks=self.clicks(),
            dice_by_click=self.dice_by_click(),
            marked=statistics.fmean(marked) if marked else None,
            seconds_image=_median(p.seconds_image for p in flat),
            seconds_prompt=_median(p.seconds_prompt for p in flat),
        )

    def prompt(self, name: str) -> PromptScore | None:
        dice, iou = self.estimate(_answer(name, "dice")), self.estimate(_answer(name, "iou"))
        if dice is None or iou is None:
            return None
        px = self.estimate(_answer(name, "hd95_px"))
        return PromptScore(
            dice=dice,
            iou=iou,
            hd95_px=px,
            hd95_mm=self.estimate(_answer(name, "hd95_mm")),
            undefined=dice.n - (px.n if px else 0),
        )

    def clicks(self) -> dict[str, ClickScore]:
        """NoC and NoF, where all 20 clicks were allowed."""
        found = {}
        for threshold in THRESHOLDS:
            share = threshold / 100

            def needed(p: PictureScore, share: float = share) -> float | None:
                return clicks_needed(p.ious, share) if p.clicks == MAX_CLICKS else None

            def missed(p: PictureScore, share: float = share) -> float | None:
                return failed(p.ious, share) if p.clicks == MAX_CLICKS else None

            noc, nof = self.estimate(needed), self.estimate(missed)
            if noc and nof:
                found[str(threshold)] = ClickScore(noc=noc, failed=nof)
        return found

    def dice_by_click(self) -> tuple[float, ...]:
        clicked = [p for line in self.lines for p in line if p.ious]
        most = max((p.clicks for p in clicked), default=0)
        ious = [[p.ious[min(k, len(p.ious) - 1)] for p in clicked] for k in range(most)]
        return tuple(statistics.fmean(2 * v / (1 + v) for v in after) for after in ious)


def _answer(prompt: str, metric: Metric) -> Value:
    def value(picture: PictureScore) -> float | None:
        found = picture.answers.get(prompt)
        return getattr(found, metric) if found else None

    return value


def _median(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return statistics.median(defined) if defined else None
