"""The default: typical pictures for the first batch, then boundary entropy in stochastic batches.

Uncertainty says little before the model has seen the structure (arXiv 2202.02794, 2601.18532).
"""

from uniultra.active.pool import Order, Pool
from uniultra.active.strategies import stochastic_batches, typiclust
from uniultra.active.strategy import QueryStrategy


def rank(pool: Pool) -> Order:
    """TypiClust for the first batch, stochastic batches from the second on."""
    return (typiclust if pool.rounds == 0 else stochastic_batches).rank(pool)


STRATEGY = QueryStrategy(
    "First the most typical pictures, then uncertain batches", ("features", "boundary"), rank
)
