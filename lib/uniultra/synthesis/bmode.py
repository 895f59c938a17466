"""From a map of echogenicity to a B-mode picture: beams, attenuation, speckle, compression, the view.

A simplified scanner. The tissue map is sampled along the beams of a linear, curved or phased probe, loses
level along each of them, gets fully developed speckle (the envelope of a filtered complex Gaussian
field) at the probe's resolution, is log-compressed and converted to the screen. Levels are decibels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uniultra.synthesis.shapes import Field, Grid, Mask, noise


@dataclass(frozen=True, eq=False)
class Tissue:
    """What is scanned, each `(S,S)`.

    Attributes:
        level: echogenicity in dB, 0 is bright tissue, -45 is fluid.
        loss: dB lost per side of travel beyond what the scanner makes up for; negative is enhancement.
        surface_y, surface_x: strength of smooth reflecting surfaces times their normal's components;
            they answer only to beams that meet them squarely.
    """

    level: Field
    loss: Field
    surface_y: Field
    surface_x: Field


@dataclass(frozen=True, eq=False)
class ScanView:
    """How beams run: `rows`, `columns` of every (depth, beam) sample, and back.

    Attributes:
        rows, columns: `(S,S)` pixel positions of the samples on the screen; None for a linear probe.
        depth, beam: `(S,S)` sample positions of the pixels.
        seen: `(S,S)` pixels within the field of view.
    """

    rows: Field | None
    columns: Field | None
    depth: Field
    beam: Field
    seen: Mask


def scan(rng: np.random.Generator, tissue: Tissue, straight: Grid) -> tuple[NDArray[np.uint8], Mask]:
    """A picture `(S,S)` uint8 of the tissue by a random probe, and the field of view."""
    view = _view(rng, straight)
    beams = _along(view, tissue.level)
    # The part of each surface that faces its beam.
    down, right = _directions(view, straight)
    facing = np.abs(tissue.surface_y * down + tissue.surface_x * right)
    strength = np.hypot(tissue.surface_y, tissue.surface_x)
    share = facing / np.maximum(strength, 1e-3)
    lit = strength * np.maximum(share ** rng.uniform(1, 6), rng.uniform(0, 0.5))
    surfaces = _along(view, lit)
    loss = _along(view, tissue.loss)
    travelled = np.cumsum(loss, axis=0) / len(loss)
    decibel = _envelope(rng, beams, surfaces) - travelled
    grey = _compress(rng, decibel)
    if view.rows is not None:
        grey = ndimage.map_coordinates(grey, [view.depth, view.beam], order=1, mode="nearest")
    grey = _finish(rng, grey)
    grey[~view.seen] = 0
    return np.asarray(255 * grey, np.uint8), view.seen


def _view(rng: np.random.Generator, straight: Grid) -> ScanView:
    size = straight.size
    if rng.random() < 0.45:
        seen = np.ones((size, size), bool)
        if rng.random() < 0.35:  # a linear picture within a larger screen
            top, bottom, left, right = rng.uniform(0, 0.2, 4)
            seen &= (straight.rows > top) & (straight.rows < 1 - bottom)
            seen &= (straight.columns > left) & (straight.columns < 1 - right)
        return ScanView(None, None, straight.rows, straight.columns, seen)
    phased = rng.random() < 0.4
    near = rng.uniform(0.01, 0.06) if phased else rng.uniform(0.15, 0.9)
    half = rng.uniform(0.55, 0.8) if phased else rng.uniform(0.35, 0.75)
    top, middle, length = rng.uniform(-0.05, 0.08), rng.uniform(0.42, 0.58), rng.uniform(0.8, 1.1)
    apex = top - near * (np.cos(half) if not phased else 1)
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    radius, angle = near + length * axis[:, None], half * (2 * axis[None] - 1)
    rows = apex + radius * np.cos(angle)
    columns = middle + radius * np.sin(angle)
    y, x = straight.rows - apex, straight.columns - middle
    depth, beam = (np.hypot(x, y) - near) / length, (np.arctan2(x, y) / half + 1) / 2
    seen = (depth > 0) & (depth < 1) & (np.abs(beam - 0.5) < 0.5)
    if rng.random() < 0.3:  # the screen cuts the sector at its sides
        seen &= np.abs(straight.columns - middle) < rng.uniform(0.35, 0.5)

    def pixels(field: Field) -> Field:
        return np.asarray(field * size - 0.5, np.float32)

    return ScanView(pixels(rows), pixels(columns), pixels(depth), pixels(beam), seen)


def _along(view: ScanView, field: Field) -> Field:
    """A field on the screen as samples of beams."""
    if view.rows is None:
        return field
    found = ndimage.map_coordinates(field, [view.rows, view.columns], order=1, mode="nearest")
    return np.asarray(found, np.float32)


def _directions(view: ScanView, straight: Grid) -> tuple[Field | float, Field | float]:
    """The unit vector along the beam at every pixel: its part down and its part to the right."""
    if view.rows is None or view.columns is None:
        return 1.0, 0.0
    # Beams start where the first and the last one meet.
    size = len(view.rows)
    y0, y1 = view.rows[0, 0], view.rows[-1, 0]
    x0, x1 = view.columns[0, 0], view.columns[-1, 0]
    middle = (view.columns[0, 0] + view.columns[0, -1]) / 2
    apex = y0 - (y1 - y0) * (x0 - middle) / (x1 - x0)
    y, x = straight.rows * size - 0.5 - apex, straight.columns * size - 0.5 - middle
    length = np.maximum(np.hypot(y, x), 1e-3)
    return y / length, x / length


def _envelope(rng: np.random.Generator, level: Field, surfaces: Field) -> Field:
    """Decibels of what comes back: speckle on the level, reflections, clutter and noise."""
    size = len(level)
    scale = size / 256
    axial, lateral = scale * rng.uniform(0.3, 1.1), scale * rng.uniform(0.5, 2.6)
    parts = [
        ndimage.gaussian_filter(n, (axial, lateral)) for n in rng.standard_normal((2, size, size), np.float32)
    ]
    speckle = np.hypot(*parts)
    speckle /= speckle.mean()
    # Compounding and filters of the scanner leave only a part of the speckle.
    speckle **= rng.uniform(0.25, 1.0)
    amplitude = np.power(10, level / 20) * speckle
    amplitude += ndimage.gaussian_filter(surfaces, (0.6 * axial, lateral)) * speckle ** rng.uniform(0.2, 1)
    spread = ndimage.uniform_filter1d(amplitude, max(3, size // 12), axis=1)
    amplitude += 10 ** (-rng.uniform(1.2, 2.5)) * spread * speckle
    depth = np.linspace(0, 1, size, dtype=np.float32)[:, None]
    floor = 10 ** (-rng.uniform(1.8, 3.0) + rng.uniform(0, 0.8) * depth)
    return np.asarray(20 * np.log10(amplitude + floor * parts[0].std() ** -1 * np.abs(parts[0])), np.float32)


def _compress(rng: np.random.Generator, decibel: Field) -> Field:
    """Log compression to 0..1 with a gain, a depth gain that is a little off, and a grey map."""
    size = len(decibel)
    depth = np.linspace(0, 1, size, dtype=np.float32)
    curve = rng.uniform(-8, 8) * (depth - 0.4)
    if rng.random() < 0.4:  # sliders of the TGC
        curve += np.interp(depth, np.linspace(0, 1, 8), rng.normal(0, 2.5, 8)).astype(np.float32)
    decibel = decibel + curve[:, None]
    span = rng.uniform(35, 65)
    top = np.percentile(decibel[::4, ::4], rng.uniform(97, 99.8)) + rng.uniform(-4, 6)
    grey = np.clip((decibel - top + span) / span, 0, 1)
    return np.asarray(grey ** rng.uniform(0.9, 2.4), np.float32)


def _finish(rng: np.random.Generator, grey: Field) -> Field:
    scale = len(grey) / 256
    if rng.random() < 0.5:
        grey = ndimage.gaussian_filter(grey, scale * rng.uniform(0.3, 1.2))
    if rng.random() < 0.25:  # edge enhancement
        grey = grey + rng.uniform(0.3, 1.2) * (grey - ndimage.gaussian_filter(grey, 1.5 * scale))
    if rng.random() < 0.3:  # uneven contact of the probe
        grey = grey * (1 - rng.uniform(0, 0.7) * np.clip(noise(rng, len(grey), 0.3)[:1], 0, 1))
    return np.asarray(np.clip(grey * rng.uniform(0.65, 1), 0, 1), np.float32)


def marks(rng: np.random.Generator, picture: NDArray[np.uint8], seen: Mask) -> None:
    """What scanners burn in: frames, grey bars, scale ticks, captions, calipers. In place."""
    size = len(picture)
    bright = int(rng.integers(130, 256))
    if rng.random() < 0.15:
        picture[~seen] = int(rng.integers(10, 90))
    if rng.random() < 0.3:
        column = int(rng.integers(1, size // 16))
        picture[:: int(rng.integers(size // 32, size // 8)), column : column + 3] = bright
    if rng.random() < 0.15:
        top, column, length = int(rng.integers(0, size // 3)), int(rng.integers(0, size - 6)), size // 3
        ramp = np.linspace(255, 0, length).astype(np.uint8)[:, None]
        picture[top : top + length, column : column + max(2, size // 64)] = ramp
    for _ in range(rng.choice(4, p=(0.5, 0.25, 0.15, 0.1))):
        high, wide = max(3, size // 40), int(rng.integers(size // 40, size // 6))
        y, x = rng.integers(0, size - high, 2)
        block = rng.random((high, wide)) < 0.5
        view = picture[y : y + high, x : x + wide]
        view[block[:, : view.shape[1]]] = bright
    for _ in range(2 * int(rng.random() < 0.12)):  # the two crosses of a caliper
        y, x = rng.integers(4, size - 4, 2)
        picture[y - 2 : y + 3, x] = picture[y, x - 2 : x + 3] = bright
