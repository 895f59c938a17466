"""Distinguishes painted masks from those the panel wrote and from those of another frame.

No event of Slicer says who changed a segmentation. Therefore each mask is compared, by its hash, with the one
last seen in that segment on that picture.
"""

from __future__ import annotations

import hashlib
from typing import Any, Dict, Optional, Tuple

import numpy as np

from ..errors import UniUltraLibError
from ..prompts.shown import Shown
from .current_image import CurrentImage


class PaintedMasks:
    """Hashes of the masks last seen, by segment and picture."""

    def __init__(self, current: CurrentImage) -> None:
        self._current = current
        self._seen: Dict[Tuple[str, Any], bytes] = {}

    def forget(self, segment: Optional[str] = None) -> None:
        """Forget a removed segment; without an argument, all segments."""
        self._seen = {key: mask for key, mask in self._seen.items() if segment not in (None, key[0])}

    def note_all(self) -> None:
        """Record the masks of all segments on the shown picture."""
        segments = self._current.segments()
        shown = self._current.shown() if segments else None
        for segment in segments:
            self.repainted(segment.id, shown)

    def repainted(self, segment: str, shown: Optional[Shown]) -> bool:
        """Record the mask of a segment on the shown picture; True if another one was last seen there."""
        if shown is None:
            return False
        try:
            now = _digest(self._current.read(segment, shown))
        except UniUltraLibError:
            return False
        before = self._seen.get((segment, _picture(shown)))
        self._seen[segment, _picture(shown)] = now
        return before is not None and before != now

    def written(self, segment: str, shown: Shown, mask: np.ndarray) -> None:
        """Record a mask that the panel wrote, and forget those of planes that cross it, which it changed."""
        axis = None if shown.oblique else shown.plane.axis
        self._seen = {
            key: value
            for key, value in self._seen.items()
            if key[0] != segment or (axis is not None and getattr(key[1], "axis", None) == axis)
        }
        if shown.oblique:
            self.note_all()
        else:
            self._seen[segment, _picture(shown)] = _digest(mask)


def _picture(shown: Shown) -> Any:
    return shown.key if shown.oblique else shown.plane


def _digest(mask: np.ndarray) -> bytes:
    return hashlib.blake2b(np.packbits(np.asarray(mask, bool)).tobytes(), digest_size=16).digest()
