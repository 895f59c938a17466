"""Stochastic batches: the most uncertain of random batches, rather than the most uncertain units.

The most uncertain units resemble each other. A random batch is diverse, and the batches still differ in their
mean uncertainty (arXiv 2301.07670). The uncertainty is the boundary-restricted entropy.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from uniultra.active.pool import Order, Pool
from uniultra.active.strategy import QueryStrategy


def rank(pool: Pool) -> Order:
    """Batches in descending order of their mean, units within a batch too."""
    values = pool.values("boundary")
    batches = divided(pool)
    batches.sort(key=lambda batch: -float(values[batch].mean()))
    return np.concatenate([batch[(-values[batch]).argsort(kind="stable")] for batch in batches])


def divided(pool: Pool) -> list[Order]:
    """The unlabelled units in random batches; the units of a group are spread over the batches."""
    places = pool.rng.permutation(pool.open)
    count = -(-len(places) // pool.batch)
    if pool.groups is not None:
        groups: dict[Hashable, list[int]] = {}
        for place in places:
            groups.setdefault(pool.groups[place], []).append(int(place))
        places = np.asarray([place for group in groups.values() for place in group], np.intp)
    return [places[first::count] for first in range(count)]


STRATEGY = QueryStrategy("The most uncertain of random batches, by boundary entropy", ("boundary",), rank)
