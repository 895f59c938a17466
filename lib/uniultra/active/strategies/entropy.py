"""Predictive entropy: where the model is least sure over the whole picture."""

from uniultra.active.pool import Order, Pool
from uniultra.active.strategies.ranked import by_score
from uniultra.active.strategy import QueryStrategy


def rank(pool: Pool) -> Order:
    """The highest entropy first."""
    return by_score(pool, "entropy")


STRATEGY = QueryStrategy("Predictive entropy of the whole picture", ("entropy",), rank)
