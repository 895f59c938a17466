"""Augmentation disagreement: where answers change with the picture (as in SUGFW, MICCAI 2025, 0877)."""

from uniultra.active.pool import Order, Pool
from uniultra.active.strategies.ranked import by_score
from uniultra.active.strategy import QueryStrategy


def rank(pool: Pool) -> Order:
    """The largest disagreement first."""
    return by_score(pool, "disagreement")


STRATEGY = QueryStrategy("Where answers on altered copies of the picture disagree", ("disagreement",), rank)
