"""Foreground-aware random: the baseline that is hard to beat (arXiv 2511.19183)."""

from uniultra.active.pool import Order, Pool
from uniultra.active.strategies.draws import mixed, noisy
from uniultra.active.strategy import QueryStrategy

SHARE = 2 / 3  # of the places that go to predicted foreground


def rank(pool: Pool) -> Order:
    """Two of three places by chance proportional to the foreground predicted there, the third by chance.

    The published baseline draws from true foreground; a campaign has only what its model predicts.
    """
    places = pool.open
    share = pool.values("foreground")[places]
    drawn = places[(-noisy(share, 1.0, pool.rng)).argsort(kind="stable")]
    return mixed([drawn, pool.rng.permutation(places)], [SHARE, 1 - SHARE])


STRATEGY = QueryStrategy("By chance, two of three where structures are predicted", ("foreground",), rank)
