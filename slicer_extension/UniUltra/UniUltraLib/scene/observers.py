"""Observers of VTK objects that are removed together."""

from __future__ import annotations

from typing import Any, Callable, List, Tuple, Union


class Observers:
    """Records the observers it adds, so that none stays on a node when the panel is done with it."""

    def __init__(self) -> None:
        self._kept: List[Tuple[Any, int]] = []

    def add(
        self, subject: Any, event: Union[int, str], callback: Callable[..., None], priority: float = 0.0
    ) -> int:
        """Have `callback(caller, event[, data])` called on a VTK object's event; returns the tag."""
        tag = int(subject.AddObserver(event, callback, priority))
        self._kept.append((subject, tag))
        return tag

    def clear(self) -> None:
        """Remove every observer."""
        kept, self._kept = self._kept, []
        for subject, tag in kept:
            subject.RemoveObserver(tag)

    def __len__(self) -> int:
        return len(self._kept)
