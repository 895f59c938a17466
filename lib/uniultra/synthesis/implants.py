"""Synthetic structures painted into real pictures: real tissue around them, exact masks, no labelling.

Unlike pseudo-objects they may have faint borders: the level or texture of a region is changed as by a
lesion, a cyst or a bright mass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uniultra.synthesis.shapes import Field, Mask, closed, grid, noise, warped

SPAN = 50.0  # assumed dynamic range of a picture, dB
TRIES = 8
DARKEST = 8 / 255  # smoothed grey value below which nothing is painted


def implant(
    rng: np.random.Generator, picture: NDArray[np.uint8], taken: Mask
) -> tuple[NDArray[np.uint8], Mask | None]:
    """Paint one structure into a picture `(S,S)`, outside the pixels `taken` `(S,S)`.

    Returns:
        The new picture and the structure's mask; the unchanged picture and None where there is no room.
    """
    size = len(picture)
    where = warped(rng, grid(size), rng.uniform(0, 0.03))
    tissue = ndimage.uniform_filter(picture, max(3, size // 25)) > 255 * DARKEST
    for _ in range(TRIES):
        centre = float(rng.uniform(0.1, 0.9)), float(rng.uniform(0.1, 0.9))
        radius = float(np.exp(rng.uniform(np.log(0.035), np.log(0.25))))
        rough, spikes = ((0.0, 0.0), (0.08, 0.0), (0.2, 0.04))[rng.integers(3)]
        field = closed(rng, where, centre, radius, flat=rng.uniform(0.35, 1), rough=rough, spikes=spikes)
        shape = np.asarray(field < 0)
        if shape.sum() < 12 or (shape & taken).any() or tissue[shape].mean() < 0.85:
            continue
        return _painted(rng, picture, field, shape), shape
    return picture, None


def _painted(
    rng: np.random.Generator, picture: NDArray[np.uint8], field: Field, shape: Mask
) -> NDArray[np.uint8]:
    size, scale = len(picture), len(picture) / 256
    grey = picture.astype(np.float32) / 255
    level = SPAN * (grey - 1)
    kind = rng.choice(4, p=(0.4, 0.25, 0.2, 0.15))
    if kind == 0:  # its own tissue, brighter or darker
        inner = level + rng.uniform(5, 18) * (1 if rng.random() < 0.25 else -1)
    elif kind == 1:  # tissue from elsewhere in the picture
        shift = rng.integers(-size // 4, size // 4, 2)
        inner = np.roll(level[:, ::-1] if rng.random() < 0.5 else level, shift, (0, 1))
        inner = inner + rng.uniform(-14, 6)
    elif kind == 2:  # fluid
        haze = ndimage.gaussian_filter(rng.standard_normal((size, size), np.float32), 0.8 * scale)
        inner = np.float32(rng.uniform(-SPAN, -0.75 * SPAN)) + 4 * haze
    else:  # smoothed tissue, as fine speckle looks
        inner = ndimage.gaussian_filter(level, rng.uniform(1.5, 4) * scale) + rng.uniform(-14, 8)
    weight = ndimage.gaussian_filter(shape.astype(np.float32), scale * rng.uniform(0.5, 2.2))
    level = level + weight * (inner - level)
    if rng.random() < 0.35:  # a wall or capsule, in places missing
        wall = np.exp(-np.square(field / rng.uniform(0.04, 0.12)))
        level += wall * rng.uniform(4, 16) * np.clip(0.6 + 1.5 * noise(rng, size, 0.15), 0, 1)
    if rng.random() < 0.35:
        below = np.maximum.accumulate(shape, axis=0) & ~shape
        behind = ndimage.gaussian_filter(below.astype(np.float32), 2 * scale)
        level += behind * rng.choice([rng.uniform(-15, -4), rng.uniform(2, 7)])
    dark = grey < DARKEST  # beyond the sector nothing is painted
    painted = np.where(dark & ~shape, grey, np.clip(level / SPAN + 1, 0, 1))
    return np.asarray(255 * painted, np.uint8)
