"""What a mean over pictures and seeds is worth: bootstrap intervals.

A percentile bootstrap (`scipy.stats.bootstrap`) over two crossed samples, drawn independently: the
groups of a test set (patients, or single pictures where there are no groups), each with all its pictures,
and the seeds, each with all its pictures. The 95 % interval therefore covers where the mean would fall
had other patients of the same kind been pictured and other seeds been drawn, and nothing else: not another
test set, not other training pictures, not another machine. Two or three seeds give a narrow idea of
their own spread: a bootstrap of S seeds shrinks it by sqrt((S-1)/S).
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uniultra.errors import RequestError

LEVEL = 0.95
RESAMPLES = 2000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval.

    Attributes:
        mean: over all defined values.
        low, high: of the interval; None where there are neither two groups nor two seeds to resample.
        n: defined values.
        groups: patients (or pictures) resampled.
        seeds: runs resampled.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    groups: int
    seeds: int


def mean_interval(
    values: ArrayLike, groups: Sequence[Hashable] | None = None, *, resamples: int = RESAMPLES, rng: int = 0
) -> Estimate:
    """Mean of a table of scores with its 95 % interval.

    Args:
        values: `(seeds, pictures)`, or `(pictures,)` for one seed; NaN where a score is not defined.
        groups: for each picture, what was drawn together (a patient); None: each picture by itself.
        resamples: number of bootstrap samples.
        rng: seed of the bootstrap, so that the same table gives the same interval.

    Raises:
        RequestError: no defined value, or `groups` of another length than the pictures.
    """
    sums, counts = _by_group(_table(values), groups)
    return _estimate([(sums, counts)], resamples, rng)


def difference_interval(
    first: ArrayLike,
    second: ArrayLike,
    groups: Sequence[Hashable] | None = None,
    *,
    resamples: int = RESAMPLES,
    rng: int = 0,
) -> Estimate:
    """Mean of `first` minus mean of `second` on the same pictures, with its paired interval.

    Pictures are resampled together, the seeds of the two independently. Only pictures where both have
    a value with some seed take part. Arguments and errors as in `mean_interval`.
    """
    tables = [_table(first), _table(second)]
    if tables[0].shape[1] != tables[1].shape[1]:
        raise RequestError(
            f"Expected scores of the same pictures; got {tables[0].shape[1]} and {tables[1].shape[1]}."
        )
    both = ~np.isnan(tables[0]).all(0) & ~np.isnan(tables[1]).all(0)
    kept = [np.where(both, table, np.nan) for table in tables]
    return _estimate([_by_group(table, groups) for table in kept], resamples, rng)


def _table(values: ArrayLike) -> Floats:
    return np.atleast_2d(np.asarray(values, float))


def _by_group(table: Floats, groups: Sequence[Hashable] | None) -> tuple[Floats, Floats]:
    """Sums and numbers of defined values, each `(seeds, groups)`."""
    pictures = table.shape[1]
    if groups is not None and len(groups) != pictures:
        raise RequestError(f"Expected a group for each of {pictures} pictures; got {len(groups)}.")
    names = list(dict.fromkeys(groups or range(pictures)))
    place = {name: n for n, name in enumerate(names)}
    member = np.zeros((pictures, len(names)))
    member[np.arange(pictures), [place[g] for g in groups or range(pictures)]] = 1
    defined = ~np.isnan(table)
    if not defined.any():
        raise RequestError("Expected at least one defined score to average; got none.")
    return np.where(defined, table, 0) @ member, defined @ member


def _estimate(tables: list[tuple[Floats, Floats]], resamples: int, rng: int) -> Estimate:
    """Estimate of the first mean, or of the first minus the second."""
    signs = (1.0, -1.0)
    # A group without a value would only make resampled groups fewer than they are.
    kept = np.logical_and.reduce([counts.any(0) for _, counts in tables])
    tables = [(sums[:, kept], counts[:, kept]) for sums, counts in tables]
    groups = int(kept.sum())

    def statistic(*drawn: NDArray[np.int64], axis: int = -1) -> Floats:
        """Weighted means; `drawn` are places of groups, then those of each table's seeds, `(...,n)`."""
        of_groups = _times(drawn[0], groups)
        total = np.zeros(of_groups.shape[:-1])
        for sign, (sums, counts), chosen in zip(signs, tables, drawn[1:], strict=False):
            of_seeds = _times(chosen, len(sums))
            number = ((of_seeds @ counts) * of_groups).sum(-1)
            summed = ((of_seeds @ sums) * of_groups).sum(-1)
            total = total + sign * np.divide(
                summed, number, out=np.full_like(number, np.nan), where=number > 0
            )
        return total

    samples = [np.arange(groups), *(np.arange(len(sums)) for sums, _ in tables)]
    mean = float(statistic(*samples))
    low, high = _bounds(samples, statistic, resamples, rng)
    sums, counts = tables[0]
    return Estimate(mean, low, high, int(counts.sum()), groups, len(sums))


def _bounds(
    samples: list[NDArray[np.int64]], statistic: object, resamples: int, rng: int
) -> tuple[float | None, float | None]:
    from scipy import stats

    # SciPy resamples only what has at least two members; the rest stays as it is.
    free = [n for n, sample in enumerate(samples) if len(sample) > 1]
    if not free:
        return None, None

    def partly(*drawn: NDArray[np.int64], axis: int = -1) -> Floats:
        lead = drawn[0].shape[:-1]
        full = [np.broadcast_to(sample, (*lead, len(sample))) for sample in samples]
        for place, chosen in zip(free, drawn, strict=True):
            full[place] = chosen
        return statistic(*full, axis=axis)  # type: ignore[operator, no-any-return]

    with warnings.catch_warnings():
        # Where values are undefined a resample may hold none; those resamples are left out below.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            [samples[n] for n in free],
            partly,
            vectorized=True,
            paired=False,
            n_resamples=resamples,
            confidence_level=LEVEL,
            method="percentile",
            rng=np.random.default_rng(rng),
            batch=200,
        )
    low, high = np.nanpercentile(found.bootstrap_distribution, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return float(low), float(high)


def _times(drawn: NDArray[np.int64], size: int) -> Floats:
    """How often each of `size` members was drawn: places `(...,n)` to weights `(...,size)`."""
    flat = drawn.reshape(-1, drawn.shape[-1])
    places = flat + size * np.arange(len(flat))[:, None]
    weights = np.bincount(places.ravel(), minlength=size * len(flat)).astype(float)
    return weights.reshape(*drawn.shape[:-1], size)
