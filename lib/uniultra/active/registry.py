"""Which query strategies there are, and the one way to ask them."""

from __future__ import annotations

from importlib import import_module

import numpy as np

from uniultra.active.pool import Order, Pool
from uniultra.active.strategy import QueryStrategy
from uniultra.errors import RequestError

DEFAULT = "default"
# Each strategy's file in `strategies/` holds `STRATEGY`; that of the default is `cold_start`.
FILES = (
    *(DEFAULT, "random", "foreground_random", "entropy", "boundary_entropy", "iou_head", "disagreement"),
    *("coreset", "typiclust", "clasp_pe", "stochastic_batches"),
)


def names() -> tuple[str, ...]:
    """Names of all strategies, the default first."""
    return FILES


def strategy(name: str) -> QueryStrategy:
    """The strategy called `name`.

    Raises:
        RequestError: no such strategy; the text lists those there are.
    """
    if name not in FILES:
        raise RequestError(f"Unknown query strategy; expected one of {', '.join(FILES)}.")
    file = "cold_start" if name == DEFAULT else name
    loaded: QueryStrategy = import_module(f"uniultra.active.strategies.{file}").STRATEGY
    return loaded


def order(name: str, pool: Pool) -> Order:
    """Places of all units of `pool` that are not labelled, what to label first in front.

    Units that lack a score which the strategy needs follow those that have all, by chance.

    Raises:
        RequestError: no such strategy.
    """
    asked = strategy(name)
    known = pool.known(asked.needs)
    kept = np.flatnonzero(known)
    first = kept[asked.rank(pool.of(kept))] if (known & ~pool.labelled).any() else kept[:0]
    rest = pool.rng.permutation(np.flatnonzero(~known & ~pool.labelled))
    return np.concatenate([first, rest])
