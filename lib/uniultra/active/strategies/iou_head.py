"""IoU head: where the model itself expects the worst answer. No evidence for it is published."""

from uniultra.active.pool import Order, Pool
from uniultra.active.strategies.ranked import by_score
from uniultra.active.strategy import QueryStrategy


def rank(pool: Pool) -> Order:
    """The lowest predicted IoU first."""
    return by_score(pool, "iou", smallest=True)


STRATEGY = QueryStrategy("Where the model predicts its own worst IoU", ("iou",), rank)
