"""How well labels were spent: curves of a score over the number of labels, compared over seeds.

A curve has one value for each budget (labels so far), a table of curves one row for each seed.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uniultra.errors import RequestError
from uniultra.metrics.intervals import LEVEL, mean_interval

SHARE = 0.95  # of the full-data score
ALPHA = 0.05


@dataclass(frozen=True)
class Band:
    """Mean over seeds after one round, with its 95 % interval; None where one seed leaves it open."""

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
        p: of the paired t-test, two-sided; 1 where nothing differs, None with one seed.
        p_holm: the same after Holm's correction over all pairs compared together.
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
        """Who is better beyond chance (corrected p below 0.05), or None."""
        if self.p_holm is None or self.p_holm >= ALPHA:
            return None
        return self.first if self.difference > 0 else self.second


def aubc(budgets: Sequence[float], values: ArrayLike) -> NDArray[np.float64]:
    """Area under the budget curve: trapezoid over the budgets, divided by their range.

    A constant keeps its value, and so does a curve of one round.

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
    """Labels after the first round whose score surely is `share` of the full-data score.

    Surely: the lower bound of the bootstrap over seeds and held-out pictures passes.

    Args:
        full: score with all labels.
        budgets: labels after each round.
        tables: for each round `(seeds,pictures)`.
        groups: of each picture, its patient; None: each by itself.

    Returns:
        None when no round passes.
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
    """
    tables = {name: np.atleast_1d(np.asarray(values, float)) for name, values in scores.items()}
    if len({len(values) for values in tables.values()}) > 1:
        raise RequestError("Expected the same seeds of every strategy; their numbers differ. Run the rest.")
    pairs = list(combinations(tables, 2))
    differences = [tables[a] - tables[b] for a, b in pairs]
    chances = [_chance(one) for one in differences]
    corrected = iter(holm([p for p in chances if p is not None]))
    found = []
    for (a, b), difference, p in zip(pairs, differences, chances, strict=True):
        band = _band(difference)
        p_holm = None if p is None else next(corrected)
        found.append(Comparison(a, b, band.mean, band.low, band.high, p, p_holm))
    return found


def holm(chances: Sequence[float]) -> list[float]:
    """P-values after Holm's step-down correction, in the order given."""
    order = np.argsort(chances, kind="stable")
    found = np.zeros(len(chances))
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(chances) - rank) * chances[place]))
        found[place] = largest
    return [float(p) for p in found]


def win_matrix(names: Sequence[str], settings: Sequence[Sequence[Comparison]]) -> NDArray[np.float64]:
    """Share of the settings (data sets) in which the row's strategy beat the column's beyond chance."""
    place = {name: n for n, name in enumerate(names)}
    wins = np.zeros((len(names), len(names)))
    for one in (comparison for setting in settings for comparison in setting):
        if one.winner is not None:
            loser = one.second if one.winner == one.first else one.first
            wins[place[one.winner], place[loser]] += 1
    return wins / max(1, len(settings))


def _band(values: NDArray[np.float64]) -> Band:
    from scipy import stats

    mean = float(values.mean())
    if len(values) < 2:
        return Band(mean, None, None)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * stats.sem(values))
    return Band(mean, mean - reach, mean + reach)


def _chance(difference: NDArray[np.float64]) -> float | None:
    """Two-sided p of a paired t-test, from the differences."""
    from scipy import stats

    if len(difference) < 2:
        return None
    if np.ptp(difference) == 0:  # the test divides by this spread
        return 1.0 if difference[0] == 0 else 0.0
    p = float(stats.ttest_1samp(difference, 0.0).pvalue)
    return 1.0 if math.isnan(p) else p
