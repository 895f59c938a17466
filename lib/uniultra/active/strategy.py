"""What a query strategy is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from uniultra.active.pool import Order, Pool


@dataclass(frozen=True)
class QueryStrategy:
    """One way to choose what is labelled next.

    Attributes:
        description: one line for a list.
        needs: names of the pool's scores without which it cannot place a unit.
        rank: places of all units of a pool that are not labelled, best first; every unit has what it needs.
    """

    description: str
    needs: tuple[str, ...]
    rank: Callable[[Pool], Order] = field(repr=False)
