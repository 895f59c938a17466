"""Which query strategies there are, and the one way to ask them."""

from __future__ import annotations

from importlib import import_module

import numpy as np

from uniultra.active.pool import Order, Pool
from uniultra.active.strategy import QueryStrategy
from uniultra.errors import RequestError

DEFAULT = "default"
# A file of this folder for each strategy; it holds `STRATEGY`.
FILES = {
    DEFAULT: "cold_start",
    "random": "random",
    "foreground_random": "foreground_random",
    "entropy": "entropy",
    "boundary_entropy": "boundary_entropy",
    "iou_head": "iou_head",
    "disagreement": "disagreement",
    "coreset": "coreset",
    "typiclust": "typiclust",
    "clasp_pe": "clasp_pe",
    "stochastic_batches": "stochastic_batches",
}


def names() -> tuple[str, ...]:
    """Names of all strategies, the default first."""
    return tuple(FILES)


def strategy(name: str) -> QueryStrategy:
    """The strategy called `name`.

    Raises:
        RequestError: no such strategy; the text lists those there are.
    """
    if name not in FILES:
        raise RequestError(f"Unknown query strategy; expected one of {', '.join(FILES)}.")
    found: QueryStrategy = import_module(f"uniultra.active.strategies.{FILES[name]}").STRATEGY
    return found


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
