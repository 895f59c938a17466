"""Query strategies as MONAI Label strategies."""

from __future__ import annotations

from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy

from uniultra.active import registry
from uniultra.serve.tasks.next_sample import Ranker, next_sample


class RankedSample(Strategy):
    """Leases the unit that one strategy puts first among those that wait.

    Args:
        name: in the registry of query strategies.
        ranking: orders the units.
    """

    def __init__(self, name: str, ranking: Ranker) -> None:
        super().__init__(registry.strategy(name).description)
        self._name, self._ranking = name, ranking

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        return next_sample({**request, "strategy": self._name}, datastore, self._ranking)  # type: ignore[arg-type]


def all_strategies(ranking: Ranker) -> dict[str, RankedSample]:
    """Every registered strategy by its name, the default first."""
    return {name: RankedSample(name, ranking) for name in registry.FILES}
