"""Registry of query strategies, and ranking of a pool by one of them."""

from __future__ import annotations

from importlib import import_module

import numpy as np

from uniultra.active.pool import Order, Pool
from uniultra.active.strategy import QueryStrategy
from uniultra.errors import RequestError

DEFAULT = "default"
# Each file in `strategies/` defines `STRATEGY`; the default is the one in `cold_start`.
FILES = (
    *(DEFAULT, "random", "foreground_random", "entropy", "boundary_entropy", "iou_head", "disagreement"),
    *("coreset", "typiclust", "clasp_pe", "stochastic_batches"),
)


def strategy(name: str) -> QueryStrategy:
    """The strategy called `name`.

    Raises:
        RequestError: no such strategy; the message lists all names.
    """
    if name not in FILES:
        raise RequestError(f"Unknown query strategy; expected one of {', '.join(FILES)}.")
    module = "cold_start" if name == DEFAULT else name
    loaded: QueryStrategy = import_module(f"uniultra.active.strategies.{module}").STRATEGY
    return loaded


def order(name: str, pool: Pool) -> Order:
    """Rank the unlabelled units of a pool: their indices, the one to label first in front.

    Units that lack a score needed by the strategy follow in random order.

    Raises:
        RequestError: no such strategy.

    Example:
        >>> pool = Pool(
        ...     features=np.zeros((4, 1)),
        ...     labelled=np.array([False, False, True, False]),
        ...     rng=np.random.default_rng(0),
        ...     entropy=np.array([0.2, 0.9, 0.5, np.nan]),
        ... )
        >>> order("entropy", pool).tolist()
        [1, 0, 3]
    """
    chosen = strategy(name)
    complete = pool.has(chosen.needs)
    indices = np.flatnonzero(complete)
    first = indices[chosen.rank(pool.subset(indices))] if (complete & ~pool.labelled).any() else indices[:0]
    rest = pool.rng.permutation(np.flatnonzero(~complete & ~pool.labelled))
    return np.concatenate([first, rest])
