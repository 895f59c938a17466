"""CoreSet: greedy k-centre on features (arXiv 1708.00489)."""

import numpy as np

from uniultra.active.pool import Order, Pool
from uniultra.active.strategy import QueryStrategy


def rank(pool: Pool) -> Order:
    """Next is what lies farthest from all that is labelled or chosen; without labels the middle begins."""
    features, places = pool.features, pool.open
    if pool.labelled.any():
        known = features[pool.labelled]
        near = np.full(len(features), np.inf)
        for one in known:
            near = np.minimum(near, _distance(features, one))
        chosen: list[int] = []
    else:
        first = int(_distance(features, features.mean(0)).argmin())
        chosen, near = [first], _distance(features, features[first])
    left = np.zeros(len(features), bool)
    left[places] = True
    left[chosen] = False
    while left.any():
        best = int(np.where(left, near, -1.0).argmax())
        chosen.append(best)
        left[best] = False
        near = np.minimum(near, _distance(features, features[best]))
    return np.asarray(chosen, np.intp)


def _distance(features: np.ndarray, one: np.ndarray) -> np.ndarray:
    return np.asarray(np.square(features - one).sum(1))


STRATEGY = QueryStrategy("Greedy k-centre: farthest from what is labelled", ("features",), rank)
