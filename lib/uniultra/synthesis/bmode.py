"""B-mode simulation from a map of echogenicity: beams, attenuation, speckle, compression, scan conversion.

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
    """The scanned tissue, each map `(S,S)`.

    Attributes:
        level: echogenicity in dB; 0 for bright tissue, -45 for fluid.
        loss: dB lost per picture side of travel beyond what the scanner compensates; negative enhances.
        surface_y, surface_x: strength of specular surfaces times the components of their normal; they
            reflect only beams that meet them at right angles.
    """

    level: Field
    loss: Field
    surface_y: Field
    surface_x: Field


@dataclass(frozen=True, eq=False)
class BeamGeometry:
    """The mapping between pixels of the screen and samples (depth, beam).

    Attributes:
        rows, columns: pixel position of every sample, `(S,S)`; None for a linear probe.
        depth, beam: sample position of every pixel, `(S,S)`.
        seen: pixels within the field of view, `(S,S)`.
    """

    rows: Field | None
    columns: Field | None
    depth: Field
    beam: Field
    seen: Mask


def scan(rng: np.random.Generator, tissue: Tissue, straight: Grid) -> tuple[NDArray[np.uint8], Mask]:
    """Scan the tissue with a random probe: a picture `(S,S)` uint8, and the field of view `(S,S)` bool."""
    geometry = _random_beams(rng, straight)
    level = _along(geometry, tissue.level)
    # The part of each surface that faces its beam.
    down, right = _directions(geometry, straight)
    facing = np.abs(tissue.surface_y * down + tissue.surface_x * right)
    strength = np.hypot(tissue.surface_y, tissue.surface_x)
    share = facing / np.maximum(strength, 1e-3)
    lit = strength * np.maximum(share ** rng.uniform(1, 6), rng.uniform(0, 0.5))
    surfaces = _along(geometry, lit)
    loss = _along(geometry, tissue.loss)
    travelled = np.cumsum(loss, axis=0) / len(loss)
    decibel = _envelope(rng, level, surfaces) - travelled
    grey = _compress(rng, decibel)
    if geometry.rows is not None:
        grey = ndimage.map_coordinates(grey, [geometry.depth, geometry.beam], order=1, mode="nearest")
    grey = _finish(rng, grey)
    grey[~geometry.seen] = 0
    return np.asarray(255 * grey, np.uint8), geometry.seen


def _random_beams(rng: np.random.Generator, straight: Grid) -> BeamGeometry:
    size = straight.size
    if rng.random() < 0.45:
        seen = np.ones((size, size), bool)
        if rng.random() < 0.35:  # a linear picture within a larger screen
            top, bottom, left, right = rng.uniform(0, 0.2, 4)
            seen &= (straight.rows > top) & (straight.rows < 1 - bottom)
            seen &= (straight.columns > left) & (straight.columns < 1 - right)
        return BeamGeometry(None, None, straight.rows, straight.columns, seen)
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

    return BeamGeometry(pixels(rows), pixels(columns), pixels(depth), pixels(beam), seen)


def _along(beams: BeamGeometry, field: Field) -> Field:
    """Resample a field of the screen along the beams."""
    if beams.rows is None:
        return field
    samples = ndimage.map_coordinates(field, [beams.rows, beams.columns], order=1, mode="nearest")
    return np.asarray(samples, np.float32)


def _directions(beams: BeamGeometry, straight: Grid) -> tuple[Field | float, Field | float]:
    """The unit vector along the beam at every pixel: its components down and to the right."""
    if beams.rows is None or beams.columns is None:
        return 1.0, 0.0
    # The apex is where the first and the last beam intersect.
    size = len(beams.rows)
    y0, y1 = beams.rows[0, 0], beams.rows[-1, 0]
    x0, x1 = beams.columns[0, 0], beams.columns[-1, 0]
    middle = (beams.columns[0, 0] + beams.columns[0, -1]) / 2
    apex = y0 - (y1 - y0) * (x0 - middle) / (x1 - x0)
    y, x = straight.rows * size - 0.5 - apex, straight.columns * size - 0.5 - middle
    length = np.maximum(np.hypot(y, x), 1e-3)
    return y / length, x / length


def _envelope(rng: np.random.Generator, level: Field, surfaces: Field) -> Field:
    """Echo level in dB: speckle on the tissue level, specular reflections, clutter and noise."""
    size = len(level)
    scale = size / 256
    axial, lateral = scale * rng.uniform(0.3, 1.1), scale * rng.uniform(0.5, 2.6)
    parts = [
        ndimage.gaussian_filter(n, (axial, lateral)) for n in rng.standard_normal((2, size, size), np.float32)
    ]
    speckle = np.hypot(*parts)
    speckle /= speckle.mean()
    # Compounding and filters of the scanner reduce the speckle.
    speckle **= rng.uniform(0.25, 1.0)
    amplitude = np.power(10, level / 20) * speckle
    amplitude += ndimage.gaussian_filter(surfaces, (0.6 * axial, lateral)) * speckle ** rng.uniform(0.2, 1)
    spread = ndimage.uniform_filter1d(amplitude, max(3, size // 12), axis=1)
    amplitude += 10 ** (-rng.uniform(1.2, 2.5)) * spread * speckle
    depth = np.linspace(0, 1, size, dtype=np.float32)[:, None]
    floor = 10 ** (-rng.uniform(1.8, 3.0) + rng.uniform(0, 0.8) * depth)
    return np.asarray(20 * np.log10(amplitude + floor * parts[0].std() ** -1 * np.abs(parts[0])), np.float32)


def _compress(rng: np.random.Generator, decibel: Field) -> Field:
    """Log compression to 0..1 with a gain, an imperfect time-gain compensation, and a grey map."""
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
    """Draw burned-in marks in place: borders, grey bars, scale ticks, captions, calipers."""
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
