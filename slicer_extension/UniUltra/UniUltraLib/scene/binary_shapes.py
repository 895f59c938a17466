"""Shapes on a small grid of true and false: grow, erode, large connected parts, convex hull. numpy only."""

from __future__ import annotations

from typing import List, Optional, Tuple

import numpy as np


def grow(grid: np.ndarray, times: int = 1) -> np.ndarray:
    """The true cells and their eight neighbours, `times` over."""
    rows, columns = grid.shape
    for _ in range(times):
        padded = np.pad(grid, 1)
        grid = np.logical_or.reduce([
            padded[dy : dy + rows, dx : dx + columns] for dy in range(3) for dx in range(3)
        ])  # fmt: skip
    return grid


def erode(grid: np.ndarray, times: int = 1) -> np.ndarray:
    """The cells that are true with all their neighbours, `times` over; beyond the edge counts as true."""
    return ~grow(~grid, times)


def majority(grid: np.ndarray) -> np.ndarray:
    """The cells of whose three by three neighbourhood at least five are true."""
    rows, columns = grid.shape
    padded = np.pad(grid, 1).astype(np.int8)
    counts = sum(padded[dy : dy + rows, dx : dx + columns] for dy in range(3) for dx in range(3))
    return np.asarray(counts >= 5)


def large_parts(grid: np.ndarray, share: float) -> Optional[np.ndarray]:
    """The four-connected parts of at least `share` of the largest one's size; None when nothing is true."""
    left, parts = grid.copy(), []
    while left.any():
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        part, count = _flood(left, (int(row), int(column)))
        left &= ~part
        parts.append((count, part))
    if not parts:
        return None
    least = share * max(count for count, _ in parts)
    return np.logical_or.reduce([part for count, part in parts if count >= least])


def convex_hull(grid: np.ndarray) -> np.ndarray:
    """Every cell whose centre lies in the convex hull of the true cells' corners."""
    rows = np.flatnonzero(grid.any(axis=1))
    if not rows.size:
        return grid.copy()
    first = grid[rows].argmax(axis=1)
    last = grid.shape[1] - 1 - grid[rows, ::-1].argmax(axis=1)
    corners = np.concatenate([
        np.c_[x, rows + dy] for x in (first - 0.5, last + 0.5) for dy in (-0.5, 0.5)
    ])  # fmt: skip
    hull = _chain(sorted(map(tuple, corners.tolist())))
    y, x = np.indices(grid.shape)
    inside = np.ones(grid.shape, bool)
    for (ax, ay), (bx, by) in zip(hull, [*hull[1:], hull[0]]):  # noqa: B905 - Python 3.9
        inside &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= -1e-9
    return inside


def _chain(points: List[Tuple[float, float]]) -> List[Tuple[float, float]]:
    """The corners of a convex hull in order: Andrew's monotone chain (Inf. Proc. Letters 9, 1979)."""
    halves = []
    for ordered in (points, points[::-1]):
        half: List[Tuple[float, float]] = []
        for point in ordered:
            while len(half) >= 2 and _turn(half[-2], half[-1], point) <= 0:
                half.pop()
            half.append(point)
        halves.append(half[:-1])
    return halves[0] + halves[1]


def _turn(a: Tuple[float, float], b: Tuple[float, float], c: Tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _flood(grid: np.ndarray, seed: Tuple[int, int]) -> Tuple[np.ndarray, int]:
    """The four-connected part around a true cell, and how many cells it has."""
    rows, columns = grid.shape
    part = np.zeros_like(grid)
    part[seed] = True
    stack, count = [seed], 0
    while stack:
        y, x = stack.pop()
        count += 1
        for b, a in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= b < rows and 0 <= a < columns and grid[b, a] and not part[b, a]:
                part[b, a] = True
                stack.append((b, a))
    return part, count
