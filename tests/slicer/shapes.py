"""Analytic shapes as masks, with pixels of any size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def grid(
    half: float, dy: float, dx: float, turn: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates in mm of the pixels of a square picture, from its middle, turned by `turn` radians."""
    columns, rows = int(2 * half / dx), int(2 * half / dy)
    y, x = np.mgrid[:rows, :columns]
    x, y = (x - columns / 2 + 0.3) * dx, (y - rows / 2 - 0.2) * dy
    return x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)


def ellipse(a: float, b: float, dy: float, dx: float, turn: float = 0.0) -> Mask:
    """A filled ellipse with half axes `a` and `b` in mm."""
    u, v = grid(1.4 * a, dy, dx, turn)
    return (u / a) ** 2 + (v / b) ** 2 <= 1


def rectangle(a: float, b: float, dy: float, dx: float, turn: float = 0.0) -> Mask:
    """A filled rectangle with half sides `a` and `b` in mm."""
    u, v = grid(1.6 * a, dy, dx, turn)
    return (abs(u) <= a) & (abs(v) <= b)


def ventricle(a: float, b: float, cut: float, dy: float, dx: float, turn: float = 0.0) -> Mask:
    """An ellipse with half axes `a` and `b` in mm that ends flat `cut` mm behind its middle."""
    u, v = grid(1.4 * a, dy, dx, turn)
    return ((u / a) ** 2 + (v / b) ** 2 <= 1) & (u <= cut)


def ellipse_perimeter(a: float, b: float, steps: int = 1_000_000) -> float:
    """The perimeter by adding up short chords: no formula of the code under test."""
    t = np.linspace(0, 2 * np.pi, steps)
    return float(np.hypot(np.diff(a * np.cos(t)), np.diff(b * np.sin(t))).sum())
