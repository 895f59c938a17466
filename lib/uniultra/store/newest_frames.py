"""Finds the frames of each label that are not superseded by a newer label of the same history."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import TypeVar

from uniultra.store.types import WHOLE

Label = TypeVar("Label")
Frames = tuple[int, ...] | None


def newest_frames(labels: Iterable[tuple[Hashable, Label, Frames]]) -> Iterator[tuple[Label, Frames]]:
    """Each label that is still current for some frames, with these frames; None for the whole image.

    A label of the whole image supersedes all older ones of its history.

    Args:
        labels: history, label and its frames (None for the whole image), the newest first.

    >>> list(newest_frames([("ann", "second", (1, 2)), ("ann", "first", (0, 1))]))
    [('second', (1, 2)), ('first', (0,))]
    """
    covered: dict[Hashable, set[int]] = {}
    for history, label, frames in labels:
        newer = covered.setdefault(history, set())
        left = set() if WHOLE in newer else ({WHOLE} if frames is None else set(frames)) - newer
        newer |= left
        if left:
            yield label, None if WHOLE in left else tuple(sorted(left))
