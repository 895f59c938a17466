"""Means with confidence intervals from picture scores, and paired differences between systems.

A *run* is the scores of one system on the pictures of one set; several runs are trainings of the system with
different seeds.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from uniultra.errors import RequestError
from uniultra.evaluate.records import PictureScore
from uniultra.metrics.intervals import Estimate, difference_interval, mean_interval

Scores = Sequence[PictureScore]
Runs = Sequence[Scores]


def by_set(scores: Scores) -> dict[str, list[PictureScore]]:
    """Group scores by set, in order of first appearance."""
    sets: dict[str, list[PictureScore]] = {}
    for score in scores:
        sets.setdefault(score.dataset, []).append(score)
    return sets


def keys(scores: Scores) -> list[str]:
    """All keys that occur in any score, in order of first appearance."""
    return list(dict.fromkeys(key for score in scores for key in (*score.values, *score.repeated)))


def column(runs: Runs, key: str) -> NDArray[np.float64]:
    """The values of one key, `(seeds, pictures)`; NaN if a picture lacks it.

    A random prompt has a row per prompt seed, run after run; any other prompt has a row per run.
    """
    tables = []
    for scores in runs:
        seeds = max((len(score.repeated.get(key, ())) for score in scores), default=0)
        blank = (None,) * seeds
        cells = [score.repeated.get(key, blank) if seeds else (score.values.get(key),) for score in scores]
        tables.append(np.asarray(cells, float).T)
    return np.concatenate(tables)


def estimate(runs: Runs, key: str) -> Estimate | None:
    """Mean of one key with its interval over groups and seeds; None if no picture has the key.

    Raises:
        RequestError: the runs scored different pictures.
    """
    groups = _groups(runs)
    values = column(runs, key)
    return None if np.isnan(values).all() else mean_interval(values, groups)


def summarise(runs: Runs) -> dict[str, Estimate]:
    """The estimates of all keys; errors as in `estimate`."""
    return {key: mean for key in keys(runs[0]) if (mean := estimate(runs, key)) is not None}


def difference(
    first: Runs,
    second: Runs,
    key: str,
    other_key: str | None = None,
    *,
    paired_seeds: bool = True,
) -> Estimate | None:
    """Mean of `first` minus `second`, paired by picture.

    Args:
        first, second: runs on the same pictures of one set.
        key: key of `first`.
        other_key: key of `second`; None takes `key`.
        paired_seeds: also pair by seed. True for random prompts, which both systems share; a single row is
            compared with all rows of the other. False for training seeds, which are independent.

    Returns:
        The difference, or None if no picture has both keys.

    Raises:
        RequestError: the runs scored different pictures.
    """
    groups = _groups([*first, *second])
    tables = column(first, key), column(second, other_key or key)
    if not paired_seeds and not any(np.isnan(table).all() for table in tables):
        return difference_interval(*tables, groups)
    differences = tables[0] - tables[1]
    return None if np.isnan(differences).all() else mean_interval(differences, groups)


def median(values: Iterable[float | None]) -> float | None:
    """Median of the values that are not None; None if there are none."""
    defined = [value for value in values if value is not None]
    return statistics.median(defined) if defined else None


def _groups(runs: Runs) -> list[str]:
    """The group of each picture of runs on the same pictures."""
    if any([score.id for score in scores] != [score.id for score in runs[0]] for scores in runs):
        raise RequestError("Expected scores of the same pictures; got different ones. Score them again.")
    return [score.group for score in runs[0]]
