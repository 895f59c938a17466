"""From scores of pictures to means with their intervals, and to differences between systems.

A *run* is the scores of one system, or of one training of it, on the pictures of one set; several runs are
trainings with different seeds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import RequestError
from uniultra.evaluate.records import PictureScore
from uniultra.metrics.intervals import RESAMPLES, Estimate, difference_interval, mean_interval

Scores = Sequence[PictureScore]
Runs = Sequence[Scores]


def by_set(scores: Scores) -> dict[str, list[PictureScore]]:
    """The pictures of each set, in the order in which the sets come."""
    sets: dict[str, list[PictureScore]] = {}
    for score in scores:
        sets.setdefault(score.dataset, []).append(score)
    return sets


def keys(scores: Scores) -> list[str]:
    """All keys that any of the pictures has, in order."""
    return list(dict.fromkeys(key for score in scores for key in (*score.values, *score.repeated)))


def column(runs: Runs, key: str) -> NDArray[np.float64]:
    """The values of one key, `(seeds, pictures)`; NaN where a picture has none.

    The seeds of what is drawn for a picture, one run after the other; of what is asked once, the runs.
    """
    tables = []
    for scores in runs:
        seeds = max((len(score.repeated.get(key, ())) for score in scores), default=0)
        blank = (None,) * seeds
        cells = [score.repeated.get(key, blank) if seeds else (score.values.get(key),) for score in scores]
        tables.append(np.asarray(cells, float).T)
    return np.concatenate(tables)


def estimate(runs: Runs, key: str, resamples: int = RESAMPLES) -> Estimate | None:
    """Mean of one key with its interval over groups and seeds; None where no picture has it.

    Raises:
        RequestError: the runs scored different pictures.
    """
    groups = _groups(runs)
    values = column(runs, key)
    return None if np.isnan(values).all() else mean_interval(values, groups, resamples=resamples)


def summarise(runs: Runs, resamples: int = RESAMPLES) -> dict[str, Estimate]:
    """The estimates of all keys that any picture has; errors as in `estimate`."""
    estimates = {key: estimate(runs, key, resamples) for key in keys(runs[0])}
    return {key: found for key, found in estimates.items() if found is not None}


def difference(
    first: Runs,
    second: Runs,
    key: str,
    other_key: str | None = None,
    *,
    paired_seeds: bool = True,
    resamples: int = RESAMPLES,
) -> Estimate | None:
    """Mean of `first` minus `second`, paired by picture.

    Args:
        first, second: on one set each.
        key: of the first; `other_key` of the second where it is another one.
        paired_seeds: pair by seed too, as of prompts that are drawn alike for both; where one was asked
            once, its answer stands beside all of the other's. Seeds of trainings are independent.
        resamples: bootstrap samples.

    Returns:
        None where no picture has both.

    Raises:
        RequestError: the two scored different pictures.
    """
    groups = _groups([*first, *second])
    tables = column(first, key), column(second, other_key or key)
    if not paired_seeds and not any(np.isnan(table).all() for table in tables):
        return difference_interval(*tables, groups, resamples=resamples)
    apart = tables[0] - tables[1]
    return None if np.isnan(apart).all() else mean_interval(apart, groups, resamples=resamples)


def _groups(runs: Runs) -> list[str]:
    """The group of each picture, of runs on the same pictures."""
    if any([score.id for score in scores] != [score.id for score in runs[0]] for scores in runs):
        raise RequestError("Expected scores of the same pictures; got different ones. Score them again.")
    return [score.group for score in runs[0]]
