"""Strategies that rank by one score."""

from uniultra.active.pool import Order, Pool
from uniultra.active.strategy import QueryStrategy


def by_score(description: str, score: str, *, smallest: bool = False) -> QueryStrategy:
    """Rank unlabelled units by one of their scores, largest (or smallest) first, ties in random order."""

    def rank(pool: Pool) -> Order:
        indices = pool.rng.permutation(pool.open)
        values = pool.values(score)[indices]
        return indices[(values if smallest else -values).argsort(kind="stable")]

    return QueryStrategy(description, (score,), rank)
