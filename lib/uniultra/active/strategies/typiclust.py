"""TypiClust: the most typical of every cluster that has no label yet (arXiv 2202.02794)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uniultra.active.pool import Floats, Order, Pool
from uniultra.active.strategy import QueryStrategy

CLUSTERS = 100  # at most, so that choosing stays quick
NEIGHBOURS = 20


def rank(pool: Pool) -> Order:
    """One of each cluster, the least labelled and then the largest cluster first, and round again.

    As many clusters as there are labels and places in the next batch together; typical is a small mean
    distance to the nearest neighbours within the cluster.
    """
    count = min(int(pool.labelled.sum()) + pool.batch, CLUSTERS, len(pool.features))
    cluster = _clusters(pool.features, count, int(pool.rng.integers(2**31)))
    queues = {}
    for one in range(count):
        members = np.flatnonzero(cluster == one)
        typical = members[typicality(pool.features[members]).argsort(kind="stable")[::-1]]
        queues[one] = [int(place) for place in typical if not pool.labelled[place]]
    labels = np.bincount(cluster[pool.labelled], minlength=count)
    size = np.bincount(cluster, minlength=count)
    by_need = np.lexsort((-size, labels))
    chosen: list[int] = []
    level = 0  # a cluster that holds labels waits until the others hold as many
    while len(chosen) < len(pool.open):
        for one in by_need:
            if labels[one] <= level and queues[one]:
                chosen.append(queues[one].pop(0))
        level += 1
    return np.asarray(chosen, np.intp)


def typicality(features: Floats) -> Floats:
    """One over the mean distance to the nearest neighbours, `(n,)`, of features `(n,D)`."""
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    count = min(NEIGHBOURS, len(features) - 1)
    if count < 1:
        return np.ones(len(features))
    with threadpool_limits(limits=1):  # as in uniultra.active.scoring
        found, _ = NearestNeighbors(n_neighbors=count).fit(features).kneighbors()
    return np.asarray(1 / np.maximum(found.mean(1), 1e-12))


def _clusters(features: Floats, count: int, seed: int) -> NDArray[np.intp]:
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    distinct = len(np.unique(features, axis=0))
    with threadpool_limits(limits=1):
        made = KMeans(min(count, distinct), n_init=3, random_state=seed).fit(features)
    return np.asarray(made.labels_, np.intp)


STRATEGY = QueryStrategy("The most typical picture of every cluster", ("features",), rank)
