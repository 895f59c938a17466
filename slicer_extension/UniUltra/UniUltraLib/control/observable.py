"""Observable state: subscribers are called whenever the state changes."""

from __future__ import annotations

from typing import Callable, Generic, List, TypeVar

S = TypeVar("S")
Unsubscribe = Callable[[], None]


class Observable(Generic[S]):
    """Base of parts with an immutable `state`; `_sources` has the functions that end its subscriptions."""

    def __init__(self, state: S) -> None:
        self._state = state
        self._listeners: List[Callable[[S], None]] = []
        self._sources: List[Unsubscribe] = []

    @property
    def state(self) -> S:
        """The newest state."""
        return self._state

    def subscribe(self, listener: Callable[[S], None]) -> Unsubscribe:
        """Have `listener(state)` called at every change; returns the function that ends the subscription."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def close(self) -> None:
        """The panel closes: end all subscriptions, from and to this part."""
        for unsubscribe in self._sources:
            unsubscribe()
        self._listeners.clear()

    def _publish(self, state: S) -> None:
        if state != self._state:
            self._state = state
            for listener in list(self._listeners):
                listener(state)
