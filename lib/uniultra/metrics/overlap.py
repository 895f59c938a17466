"""Overlap of two masks, and the trivial answer that every box prompt must beat."""

from __future__ import annotations

import numpy as np

from uniultra.prompts.types import Box, Mask


def dice(first: Mask, second: Mask) -> float:
    """Dice of two `(H,W)` masks; 1.0 when both are empty."""
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else 1.0


def iou(first: Mask, second: Mask) -> float:
    """Intersection over union of two `(H,W)` masks; 1.0 when both are empty."""
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 1.0


def ellipse_in(box: Box, shape: tuple[int, int]) -> Mask:
    """The ellipse inscribed in a box, `(H,W)` bool: what knowing the box alone is worth."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    # Half a pixel more on each side, since the box includes its corner pixels.
    a, b = (box.x1 - box.x0 + 1) / 2, (box.y1 - box.y0 + 1) / 2
    x, y = (columns - (box.x0 + box.x1) / 2) / a, (rows - (box.y0 + box.y1) / 2) / b
    return np.asarray(x**2 + y**2 <= 1)
