"""Morphology of 2-D boolean masks: components, dilation, erosion, majority filter, convex hull."""

from __future__ import annotations

from typing import Optional, Tuple

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull

_SQUARE = np.ones((3, 3), bool)  # structuring element: a cell and its eight neighbours


def largest_component(mask: np.ndarray) -> Tuple[np.ndarray, int]:
    """The largest 8-connected component of a non-empty mask, and the number of components.

    Among components of the same size, the first in reading order.

    Examples:
        >>> mask = np.array([[1, 1, 0, 0], [0, 1, 0, 1]], bool)
        >>> largest, count = largest_component(mask)
        >>> largest.astype(int).tolist(), count
        ([[1, 1, 0, 0], [0, 1, 0, 0]], 2)
    """
    labels, count = ndimage.label(mask, _SQUARE)
    return labels == np.bincount(labels.ravel())[1:].argmax() + 1, count


def large_components(grid: np.ndarray, share: float) -> Optional[np.ndarray]:
    """The 4-connected components of at least `share` times the largest size; None if the grid is empty."""
    labels, count = ndimage.label(grid)
    if not count:
        return None
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return (sizes >= share * sizes.max())[labels] & grid


def dilate(grid: np.ndarray, times: int) -> np.ndarray:
    """Dilate by the 3 x 3 square `times` times; cells beyond the edge stay outside."""
    return np.asarray(ndimage.binary_dilation(grid, _SQUARE, times))


def erode(grid: np.ndarray, times: int) -> np.ndarray:
    """Erode by the 3 x 3 square `times` times; cells beyond the edge count as true."""
    return np.asarray(ndimage.binary_erosion(grid, _SQUARE, times, border_value=1))


def majority(grid: np.ndarray) -> np.ndarray:
    """Cells with at least five true cells in their 3 x 3 neighbourhood; beyond the edge counts as false."""
    return np.asarray(ndimage.median_filter(grid.astype(np.uint8), size=3, mode="constant") > 0)


def convex_hull(grid: np.ndarray) -> np.ndarray:
    """All cells whose centre lies in the convex hull of the true cells' corners.

    Examples:
        >>> convex_hull(np.array([[1, 0], [1, 1]], bool)).astype(int).tolist()
        [[1, 1], [1, 1]]
    """
    cells = np.argwhere(grid & ~ndimage.binary_erosion(grid))
    if not len(cells):
        return grid.copy()
    corners = np.concatenate([cells + np.array([dy, dx]) for dy in (-0.5, 0.5) for dx in (-0.5, 0.5)])
    sides = ConvexHull(corners).equations  # normal . (y,x) + offset <= 0 inside
    y, x = np.indices(grid.shape)
    inside = np.ones(grid.shape, bool)
    for normal_y, normal_x, offset in sides:
        inside &= normal_y * y + normal_x * x + offset <= 1e-9
    return inside
