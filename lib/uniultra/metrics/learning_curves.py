"""Learning curves of active learning: a score over the number of labels, compared over seeds.

A curve has one value per budget (number of labels so far), a table of curves one row per seed.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uniultra.errors import RequestError
from uniultra.metrics.intervals import LEVEL, mean_interval

SHARE = 0.95  # of the full-data score
ALPHA = 0.05  # level of the corrected t-tests


@dataclass(frozen=True)
class Band:
    """Mean over seeds after one round, with its 95 % interval; None with a single seed."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Comparison:
    """Two strategies on the same seeds.

    Attributes:
        first, second: their names.
        difference: mean of the first minus mean of the second.
        low, high: 95 % interval of the difference; None with one seed.
        p: two-sided p-value of the paired t-test; 1 where nothing differs, None with one seed.
        p_holm: `p` after Holm's correction over all pairs compared together.
    """

    first: str
    second: str
    difference: float
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None

    @property
    def winner(self) -> str | None:
        """The strategy that is significantly better (corrected p below 0.05), or None."""
        if self.p_holm is None or self.p_holm >= ALPHA:
            return None
        return self.first if self.difference > 0 else self.second


def aubc(budgets: Sequence[float], values: ArrayLike) -> NDArray[np.float64]:
    """Area under the budget curve: trapezoidal area over the budgets, divided by their range.

    A constant curve has its own value, and so has a curve of one round.

    Args:
        budgets: labels after each round, rising.
        values: `(...,rounds)`.

    Returns:
        `(...)`.

    Raises:
        RequestError: budgets that do not rise, or values for another number of rounds.
    """
    from scipy.integrate import trapezoid

    x, y = np.asarray(budgets, float), np.asarray(values, float)
    if not len(x) or y.shape[-1:] != x.shape or (np.diff(x) <= 0).any():
        raise RequestError(
            f"Expected rising budgets, each with a value; got {len(x)} budgets and values of shape {y.shape}."
        )
    if len(x) == 1:
        return np.asarray(y[..., 0])
    return np.asarray(trapezoid(y, x) / (x[-1] - x[0]))


def bands(curves: ArrayLike) -> list[Band]:
    """Mean and 95 % interval (Student's t over seeds) after each round, of curves `(seeds,rounds)`."""
    table = np.atleast_2d(np.asarray(curves, float))
    return [_band(column) for column in table.T]


def labels_to(
    full: float,
    budgets: Sequence[int],
    tables: Sequence[ArrayLike],
    groups: Sequence[Hashable] | None = None,
    share: float = SHARE,
) -> int | None:
    """Labels after the first round whose score reaches `share` of the full-data score with confidence.

    With confidence: the lower bound of the bootstrap over seeds and held-out pictures reaches it.

    Args:
        full: score with all labels.
        budgets: labels after each round.
        tables: for each round `(seeds,pictures)`.
        groups: the patient of each picture; None takes each picture by itself.
        share: fraction of `full` to reach; default 0.95.

    Returns:
        The number of labels, or None when no round reaches it.
    """
    for budget, table in zip(budgets, tables, strict=True):
        low = mean_interval(table, groups).low
        if low is not None and low >= share * full:
            return budget
    return None


def compare(scores: Mapping[str, ArrayLike]) -> list[Comparison]:
    """All pairs of strategies by a paired t-test over seeds, with Holm's correction over the pairs.

    Args:
        scores: for each strategy `(seeds,)`, the same seeds in the same order.

    Raises:
        RequestError: strategies have different numbers of seeds.

    Three seeds of two strategies:

        >>> [found] = compare({"entropy": [0.82, 0.80, 0.81], "random": [0.70, 0.69, 0.71]})
        >>> found.winner, round(found.difference, 2)
        ('entropy', 0.11)
    """
    tables = {name: np.atleast_1d(np.asarray(values, float)) for name, values in scores.items()}
    if len({len(values) for values in tables.values()}) > 1:
        raise RequestError("Expected the same seeds of every strategy; their numbers differ. Run the rest.")
    differences = {(a, b): tables[a] - tables[b] for a, b in combinations(tables, 2)}
    p_values = {pair: p for pair, values in differences.items() if (p := _p_value(values)) is not None}
    corrected = dict(zip(p_values, holm([*p_values.values()]), strict=True))
    comparisons = []
    for pair, difference in differences.items():
        band = _band(difference)
        tested = p_values.get(pair), corrected.get(pair)
        comparisons.append(Comparison(*pair, band.mean, band.low, band.high, *tested))
    return comparisons


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values after Holm's step-down correction, in the order given."""
    count = len(p_values)
    order = np.argsort(p_values, kind="stable")
    steps = np.minimum(1.0, np.arange(count, 0, -1) * np.asarray(p_values, float)[order])
    corrected = np.zeros(count)
    corrected[order] = np.maximum.accumulate(steps)
    return corrected.tolist()


def win_matrix(names: Sequence[str], settings: Sequence[Sequence[Comparison]]) -> NDArray[np.float64]:
    """Share of the settings (data sets) in which the row's strategy beat the column's significantly."""
    place = {name: n for n, name in enumerate(names)}
    wins = np.zeros((len(names), len(names)))
    for pair in chain.from_iterable(settings):
        if pair.winner is not None:
            loser = pair.second if pair.winner == pair.first else pair.first
            wins[place[pair.winner], place[loser]] += 1
    return wins / max(1, len(settings))


def _band(values: NDArray[np.float64]) -> Band:
    from scipy import stats

    mean = float(values.mean())
    if len(values) < 2:
        return Band(mean, None, None)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * stats.sem(values))
    return Band(mean, mean - reach, mean + reach)


def _p_value(difference: NDArray[np.float64]) -> float | None:
    """Two-sided p of a paired t-test, from the differences."""
    from scipy import stats

    if len(difference) < 2:
        return None
    if np.ptp(difference) == 0:  # the test divides by this spread
        return 1.0 if difference[0] == 0 else 0.0
    p = float(stats.ttest_1samp(difference, 0.0).pvalue)
    return 1.0 if math.isnan(p) else p
