"""Foreground-aware random: the baseline that is hard to beat (arXiv 2511.19183)."""

from uniultra.active.pool import Order, Pool
from uniultra.active.strategies.draws import mixed, noisy
from uniultra.active.strategy import QueryStrategy

SHARE = 2 / 3  # fraction of the ranks drawn by predicted foreground


def rank(pool: Pool) -> Order:
    """Two of three ranks drawn with probability proportional to the predicted foreground, the third at
    random.

    The published baseline draws from true foreground; a campaign has only predictions.
    """
    places = pool.open
    share = pool.values("foreground")[places]
    drawn = places[(-noisy(share, 1.0, pool.rng)).argsort(kind="stable")]
    return mixed([drawn, pool.rng.permutation(places)], [SHARE, 1 - SHARE])


STRATEGY = QueryStrategy("By chance, two of three where structures are predicted", ("foreground",), rank)
