"""Random: the baseline."""

from uniultra.active.pool import Order, Pool
from uniultra.active.strategy import QueryStrategy


def rank(pool: Pool) -> Order:
    """All in random order."""
    return pool.rng.permutation(pool.open)


STRATEGY = QueryStrategy("By chance", (), rank)
