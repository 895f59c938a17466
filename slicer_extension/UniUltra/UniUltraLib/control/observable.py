"""A part of the panel's work: it has a state, and tells it to whoever listens when it is another one."""

from __future__ import annotations

from typing import Callable, Generic, List, TypeVar

S = TypeVar("S")


class Telling(Generic[S]):
    """`_offs` end what the part itself listens to."""

    def __init__(self, state: S) -> None:
        self._state = state
        self._listeners: List[Callable[[S], None]] = []
        self._offs: List[Callable[[], None]] = []

    @property
    def state(self) -> S:
        """What the panel shows now."""
        return self._state

    def subscribe(self, listener: Callable[[S], None]) -> Callable[[], None]:
        """Have `listener(state)` called at every change; gives the function that ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def _show(self, state: S) -> None:
        if state != self._state:
            self._state = state
            for listener in list(self._listeners):
                listener(state)

    def _end(self) -> None:
        """Listen to nothing and tell nothing any more."""
        for off in self._offs:
            off()
        self._listeners.clear()
