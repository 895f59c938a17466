"""The definition of a query strategy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from uniultra.active.pool import Order, Pool


@dataclass(frozen=True)
class QueryStrategy:
    """A way to choose the next units to label.

    Attributes:
        description: one line, shown in lists.
        needs: names of the scores that a unit must have to be ranked.
        rank: ranks the unlabelled units of a pool, as indices, best first; every unit has the needed scores.
    """

    description: str
    needs: tuple[str, ...]
    rank: Callable[[Pool], Order] = field(repr=False)
