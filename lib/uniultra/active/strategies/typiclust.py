"""TypiClust: the most typical of every cluster that has no label yet (arXiv 2202.02794)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uniultra.active.pool import Floats, Order, Pool
from uniultra.active.strategy import QueryStrategy

CLUSTERS = 100  # upper limit, for speed
NEIGHBOURS = 20


def rank(pool: Pool) -> Order:
    """One unit of each cluster in turn, the least labelled and then the largest cluster first.

    There are as many clusters as labels plus the next batch. A unit is typical if its mean distance to its
    nearest neighbours within the cluster is small.
    """
    count = min(int(pool.labelled.sum()) + pool.batch, CLUSTERS, len(pool.features))
    cluster = _clusters(pool.features, count, int(pool.rng.integers(2**31)))
    queues = {}
    for number in range(count):
        members = np.flatnonzero(cluster == number)
        typical = members[typicality(pool.features[members]).argsort(kind="stable")[::-1]]
        queues[number] = [int(place) for place in typical if not pool.labelled[place]]
    labels = np.bincount(cluster[pool.labelled], minlength=count)
    size = np.bincount(cluster, minlength=count)
    by_need = np.lexsort((-size, labels))
    chosen: list[int] = []
    level = 0  # a cluster with labels waits until the others have as many
    while len(chosen) < len(pool.open):
        for number in by_need:
            if labels[number] <= level and queues[number]:
                chosen.append(queues[number].pop(0))
        level += 1
    return np.asarray(chosen, np.intp)


def typicality(features: Floats) -> Floats:
    """Inverse mean distance to the nearest neighbours, `(n,)`, of features `(n,D)`."""
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    count = min(NEIGHBOURS, len(features) - 1)
    if count < 1:
        return np.ones(len(features))
    with threadpool_limits(limits=1):  # as in uniultra.active.scoring
        distances, _ = NearestNeighbors(n_neighbors=count).fit(features).kneighbors()
    return np.asarray(1 / np.maximum(distances.mean(1), 1e-12))


def _clusters(features: Floats, count: int, seed: int) -> NDArray[np.intp]:
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    distinct = len(np.unique(features, axis=0))
    with threadpool_limits(limits=1):
        fitted = KMeans(min(count, distinct), n_init=3, random_state=seed).fit(features)
    return np.asarray(fitted.labels_, np.intp)


STRATEGY = QueryStrategy("The most typical picture of every cluster", ("features",), rank)
