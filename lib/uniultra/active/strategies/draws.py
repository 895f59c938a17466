"""Weighted and mixed draws without replacement."""

from __future__ import annotations

import numpy as np

from uniultra.active.pool import Floats, Order

TINY = 1e-12


def noisy(scores: Floats, power: float, rng: np.random.Generator) -> Floats:
    """Scores `(n,)` from 0 up with power noise: log score + Gumbel noise of scale 1 / `power`.

    Sorted in descending order, they are a draw without replacement with probabilities proportional to score
    ** power (arXiv 2106.12059).
    """
    return np.asarray(np.log(np.maximum(scores, TINY)) + rng.gumbel(size=scores.shape) / power)


def mixed(orders: list[Order], shares: list[float]) -> Order:
    """Merge several orders of the same members, so that any prefix has about its share of each.

    Each rank goes to the order that is furthest behind its share, which contributes its best remaining
    member.
    """
    waiting = [iter(order) for order in orders]
    given = np.zeros(len(orders))
    taken: dict[int, None] = {}
    for count in range(1, len(orders[0]) + 1):
        behind = int(np.argmax(np.asarray(shares) * count - given))
        given[behind] += 1
        taken[next(int(place) for place in waiting[behind] if int(place) not in taken)] = None
    return np.fromiter(taken, np.intp)
