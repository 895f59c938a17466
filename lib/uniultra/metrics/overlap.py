"""Overlap of two masks, and the ellipse in a box: the baseline that every answer to a box must beat."""

from __future__ import annotations

import numpy as np

from uniultra.prompts.types import Box, Mask


def dice(first: Mask, second: Mask) -> float:
    """Dice coefficient of two `(H,W)` masks, 2 |A & B| / (|A| + |B|); 1.0 when both are empty.

    >>> first, second = np.zeros((2, 4, 4), bool)
    >>> first[0], second[:2] = True, True
    >>> round(dice(first, second), 3), iou(first, second)
    (0.667, 0.5)
    """
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else 1.0


def iou(first: Mask, second: Mask) -> float:
    """Intersection over union of two `(H,W)` masks, |A & B| / |A | B|; 1.0 when both are empty."""
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 1.0


def ellipse_in(box: Box, shape: tuple[int, int]) -> Mask:
    """The ellipse inscribed in a box, `(H,W)` bool: the best guess from the box alone."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    # The box includes its corner pixels, so its half axes are half a pixel longer.
    a, b = (box.x1 - box.x0 + 1) / 2, (box.y1 - box.y0 + 1) / 2
    x, y = (columns - (box.x0 + box.x1) / 2) / a, (rows - (box.y0 + box.y1) / 2) / b
    return np.asarray(x**2 + y**2 <= 1)
