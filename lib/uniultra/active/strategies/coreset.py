"""CoreSet: greedy k-centre on features (arXiv 1708.00489)."""

import numpy as np

from uniultra.active.pool import Order, Pool
from uniultra.active.strategy import QueryStrategy


def rank(pool: Pool) -> Order:
    """The unit farthest from all labelled or chosen ones is next; without labels, the most central is
    first."""
    features, places = pool.features, pool.open
    if pool.labelled.any():
        near = np.full(len(features), np.inf)
        for labelled in features[pool.labelled]:
            near = np.minimum(near, _distance(features, labelled))
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


def _distance(features: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return np.asarray(np.square(features - centre).sum(1))


STRATEGY = QueryStrategy("Greedy k-centre: farthest from what is labelled", ("features",), rank)
