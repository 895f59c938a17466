"""Bootstrap confidence intervals of means over pictures and seeds.

A percentile bootstrap over two crossed samples, drawn independently: the groups of a test set (patients, or
single pictures where there are no groups), each with all its pictures, and the seeds, each with all its
pictures. The 95 % interval therefore covers where the mean would fall had other patients of the same kind
been scanned and other seeds been drawn, and nothing else: not another test set, not other training
pictures, not another machine. Two or three seeds underestimate their own spread: a bootstrap of S seeds
shrinks it by sqrt((S-1)/S). The numbers are those of `scipy.stats.bootstrap` with the same seed.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uniultra.errors import RequestError

LEVEL = 0.95
RESAMPLES = 2000
BATCH = 200  # resamples at a time: bounds the memory

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval.

    Attributes:
        mean: over all defined values.
        low, high: ends of the interval; None where there are neither two groups nor two seeds to resample.
        n: number of defined values.
        groups: number of patients (or pictures) resampled.
        seeds: number of runs resampled.
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
        values: `(seeds, pictures)`, or `(pictures,)` for one seed; NaN where a score is undefined.
        groups: the cluster of each picture (its patient); None takes each picture by itself.
        resamples: number of bootstrap samples; default 2000.
        rng: seed of the bootstrap, so that the same table gives the same interval.

    Raises:
        RequestError: no defined value, or `groups` of another length than the pictures.

    Two pictures of each of three patients:

        >>> dice = [0.91, 0.90, 0.85, 0.86, 0.70, 0.72]
        >>> found = mean_interval(dice, ["a", "a", "b", "b", "c", "c"])
        >>> round(found.mean, 2), round(found.low, 2), round(found.high, 2), found.groups
        (0.82, 0.71, 0.9, 3)
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

    Pictures are resampled together, the seeds of the two independently. Pictures count only where both
    have a defined value with at least one seed. Arguments and errors as in `mean_interval`.
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
    """Estimate the mean of one table, or the first's minus the second's, from `_by_group` of each."""
    # Groups without a value are not resampled: they would count as groups but carry nothing.
    kept = np.logical_and.reduce([counts.any(0) for _, counts in tables])
    tables = [(sums[:, kept], counts[:, kept]) for sums, counts in tables]
    groups = int(kept.sum())

    def means(of_groups: Floats, *of_seeds: Floats) -> Floats:
        """The mean in each of B resamples, `(B,)`, from how often each group and seed is drawn, `(B,n)`."""
        total = np.zeros(len(of_groups))
        for sign, (sums, counts), weights in zip((1, -1), tables, of_seeds, strict=False):
            number = ((weights @ counts) * of_groups).sum(-1)
            summed = ((weights @ sums) * of_groups).sum(-1)
            total += sign * np.divide(summed, number, out=np.full_like(number, np.nan), where=number > 0)
        return total

    sizes = [groups, *(len(sums) for sums, _ in tables)]
    mean = float(means(*(np.ones((1, size)) for size in sizes))[0])
    low, high = None, None
    if max(sizes) > 1:
        draw = np.random.default_rng(rng)
        batches = [min(BATCH, resamples - start) for start in range(0, resamples, BATCH)]
        resampled = [means(*(_drawn(draw, batch, size) for size in sizes)) for batch in batches]
        # Where values are undefined a resample may hold none: its mean is NaN and left out.
        low, high = np.nanpercentile(np.concatenate(resampled), [50 * (1 - LEVEL), 50 * (1 + LEVEL)]).tolist()
    return Estimate(mean, low, high, int(tables[0][1].sum()), groups, sizes[1])


def _drawn(draw: np.random.Generator, batch: int, size: int) -> Floats:
    """How often each of `size` members is drawn in each of `batch` resamples, `(batch,size)`."""
    if size == 1:
        return np.ones((batch, 1))
    places = draw.integers(size, size=(batch, size)) + size * np.arange(batch)[:, None]
    return np.bincount(places.ravel(), minlength=size * batch).reshape(batch, size).astype(float)
