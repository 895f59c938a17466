"""Outlines of generated anatomy: closed forms, strips and layers on softly warped coordinates.

Every outline is a field that is negative inside and grows outwards, in units of the shape's own radius
(closed forms) or of the picture's side (strips).
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]


class Grid(NamedTuple):
    """Coordinates `(S,S)` of every pixel in 0..1, rows down and columns to the right."""

    rows: Field
    columns: Field

    @property
    def size(self) -> int:
        return len(self.rows)


def grid(size: int) -> Grid:
    """The straight coordinates of a square of `size` pixels."""
    rows, columns = (np.mgrid[:size, :size].astype(np.float32) + 0.5) / size
    return Grid(rows, columns)


def warped(rng: np.random.Generator, straight: Grid, strength: float) -> Grid:
    """Coordinates displaced by a smooth field of at most about `strength` of the side."""
    size = straight.size
    dy, dx = (noise(rng, size, rng.uniform(0.2, 0.5)) for _ in range(2))
    return Grid(straight.rows + strength * dy, straight.columns + strength * dx)


def noise(rng: np.random.Generator, size: int, scale: float, aspect: float = 1.0) -> Field:
    """A smooth random field `(S,S)` of mean 0 and deviation about 0.4: a cubic B-spline surface.

    Args:
        rng: random generator.
        size: side in pixels.
        scale: size of its features as a share of the side.
        aspect: how many times longer features are along rows than across.
    """
    down, across = (max(2, min(size, round(1 / s))) for s in (scale, min(1.0, scale * aspect)))
    knots = rng.standard_normal((down + 3, across + 3), np.float32) * 0.8
    return np.asarray(_splines(size, down) @ knots @ _splines(size, across).T)


@cache
def _splines(size: int, spans: int) -> Field:
    """Values `(size, spans + 3)` of the uniform cubic B-splines at pixel centres."""
    place = (np.arange(size, dtype=np.float32) + 0.5) * spans / size
    first = place.astype(int)
    t = place - first
    values = np.zeros((size, spans + 3), np.float32)
    for k, weight in enumerate(
        ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    ):
        values[np.arange(size), first + k] = weight / 6
    return values


def closed(
    rng: np.random.Generator,
    where: Grid,
    centre: tuple[float, float],
    radius: float,
    *,
    flat: float = 1.0,
    turn: float | None = None,
    rough: float = 0.0,
    spikes: float = 0.0,
) -> Field:
    """A closed outline around `centre` (row, column): an ellipse with random harmonics.

    Args:
        rng: random generator.
        where: coordinates.
        centre: row and column in 0..1.
        radius: longer half axis, share of the side.
        flat: shorter over longer axis.
        turn: angle of the longer axis to the rows, radians; None (default) draws one.
        rough: deviation of the slow harmonics (2 to 6), which make lobes.
        spikes: deviation of the fast harmonics (7 to 16), which make spiculae.
    """
    turn = rng.uniform(0, np.pi) if turn is None else turn
    dy, dx = where.rows - centre[0], where.columns - centre[1]
    u = (dx * np.cos(turn) + dy * np.sin(turn)) / radius
    v = (dy * np.cos(turn) - dx * np.sin(turn)) / (radius * flat)
    reach = np.hypot(u, v)
    if not rough and not spikes:
        return np.asarray(reach - 1, np.float32)
    # Harmonics on a table of angles: evaluating them on every pixel would cost most of a scene's time.
    angles = np.linspace(-np.pi, np.pi, 257)
    edge = np.ones(257)
    for share, orders in ((rough, range(2, 7)), (spikes, range(7, 17))):
        for k in orders if share else ():
            edge += share * rng.normal() / np.sqrt(k) * np.cos(k * angles + rng.uniform(0, 2 * np.pi))
    place = (np.arctan2(v, u) + np.pi) * (256 / (2 * np.pi))
    return np.asarray(reach - np.maximum(edge, 0.25)[np.round(place).astype(np.int32)], np.float32)


def strip(
    rng: np.random.Generator,
    where: Grid,
    half: float,
    *,
    slope: float = 0.3,
    upright: float = 0.0,
    ends: float = 0.4,
    middle: float | None = None,
) -> Field:
    """A curved strip across the picture, in units of the side.

    Args:
        rng: random generator.
        where: coordinates.
        half: half of its width, share of the side.
        slope: largest rise over run.
        upright: probability of running down instead of across.
        ends: probability that it ends within the picture.
        middle: its position at the picture's centre; None (default) draws it.
    """
    along, across = where.columns, where.rows
    if rng.random() < upright:
        along, across = across, along
    middle = rng.uniform(0.05, 0.95) if middle is None else middle
    line = middle + rng.uniform(-slope, slope) * (along - 0.5) + rng.normal() * 0.15 * (along - 0.5) ** 2
    line += rng.uniform(0, 0.02) * np.sin(2 * np.pi * (rng.uniform(0.3, 2) * along + rng.random()))
    width = half * (1 + rng.uniform(0, 0.4) * np.sin(rng.uniform(2, 9) * along + rng.uniform(0, 6)))
    field = np.abs(across - line) - width
    if rng.random() < ends:
        start = rng.uniform(-0.2, 0.6)
        stop = start + rng.uniform(0.25, 0.8)
        field = np.maximum(field, np.maximum(start - along, along - stop))
    return np.asarray(field, np.float32)
