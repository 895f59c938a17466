"""Boundary-restricted entropy: the target and about its contour (arXiv 2401.16298)."""

from uniultra.active.pool import Order, Pool
from uniultra.active.strategies.ranked import by_score
from uniultra.active.strategy import QueryStrategy


def rank(pool: Pool) -> Order:
    """The highest entropy at the predicted structures first."""
    return by_score(pool, "boundary")


STRATEGY = QueryStrategy("Entropy within and about the predicted structures", ("boundary",), rank)
