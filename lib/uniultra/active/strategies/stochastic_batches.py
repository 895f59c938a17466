"""Stochastic batches: of random batches the most uncertain one, rather than the most uncertain units.

Uncertain units resemble each other; a random batch does not, and its mean still tells the worthwhile ones
apart (arXiv 2301.07670). The uncertainty is the boundary-restricted entropy.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from uniultra.active.pool import Order, Pool
from uniultra.active.strategy import QueryStrategy


def rank(pool: Pool) -> Order:
    """Batches by their mean, the most uncertain first, and its most uncertain unit first."""
    values = pool.values("boundary")
    batches = divided(pool)
    batches.sort(key=lambda batch: -float(values[batch].mean()))
    return np.concatenate([batch[(-values[batch]).argsort(kind="stable")] for batch in batches])


def divided(pool: Pool) -> list[Order]:
    """The open units in random batches, what belongs to one group in as many of them as there are."""
    places = pool.rng.permutation(pool.open)
    count = -(-len(places) // pool.batch)
    if pool.groups is not None:
        met: dict[Hashable, list[int]] = {}
        for place in places:
            met.setdefault(pool.groups[place], []).append(int(place))
        places = np.asarray([place for group in met.values() for place in group], np.intp)
    return [places[first::count] for first in range(count)]


STRATEGY = QueryStrategy("The most uncertain of random batches, by boundary entropy", ("boundary",), rank)
