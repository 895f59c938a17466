"""Synthetic B-mode scenes with several structures each and exact masks.

In the spirit of SynthSeg and ScribblePrompt: shapes and contrasts vary far beyond anatomy, so that a
network must look at the prompt to know what is meant. Echogenicity is painted structure by structure,
multiplied by speckle (the envelope of a filtered complex Gaussian field) and log-compressed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Field = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture `(S,S)` uint8, its targets `(N,S,S)` bool, and where a click means each target.

    A structure that lies wholly inside another is part of it; a click on the inner one means the
    inner one, hence `clickable` `(N,S,S)` bool, a part of `targets`.
    """

    picture: NDArray[np.uint8]
    targets: NDArray[np.bool_]
    clickable: NDArray[np.bool_]


def scene(rng: np.random.Generator, size: int = 256, smallest: int = 60) -> Scene:
    """Draw one scene of `size` x `size` pixels whose targets have at least `smallest` pixels."""
    rows, columns = np.mgrid[:size, :size].astype(np.float32) / size
    echo = 0.25 + 0.5 * _smooth(rng, size, rng.uniform(0.05, 0.25))
    shapes: list[NDArray[np.bool_]] = []
    for _ in range(rng.integers(0, 4)):
        _paint(rng, echo, _band(rng, rows, columns), shapes, rng.uniform(0.4, 1.6))
    for _ in range(rng.integers(1, 6)):
        shape = _blob(rng, rows, columns)
        _paint(rng, echo, shape, shapes, rng.choice([0.02, 0.12, 0.3, 0.5, 1.1, 1.6]))
        if rng.random() < 0.35:
            echo[_rim(rng, shape, rows, columns)] = rng.uniform(0.8, 1.6)
        if rng.random() < 0.3:
            _cast(echo, shape, rng.uniform(0.2, 0.7) if rng.random() < 0.6 else rng.uniform(1.2, 1.8))
    echo *= 1 + rng.uniform(-0.5, 0.5) * rows + rng.uniform(-0.3, 0.3) * (columns - 0.5)
    picture = _image(rng, echo)
    view = _sector(rng, rows, columns)
    picture[~view] = 0
    _marks(rng, picture)
    return _collect(picture, [s & view for s in shapes], smallest)


def _collect(picture: NDArray[np.uint8], shapes: list[NDArray[np.bool_]], smallest: int) -> Scene:
    targets, clickable = [], []
    for n, shape in enumerate(shapes):
        visible, whole = shape.copy(), shape.copy()
        for later in shapes[n + 1 :]:
            area = int(later.sum())
            visible &= ~later
            if area and int((later & shape).sum()) < 0.9 * area:
                whole &= ~later
        labels, count = ndimage.label(whole)
        if not count:
            continue
        kept = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
        if kept.sum() >= smallest and (visible & kept).sum() >= smallest // 2:
            targets.append(kept)
            clickable.append(visible & kept)
    empty = np.zeros((0, *picture.shape), bool)
    return Scene(
        picture, np.stack(targets) if targets else empty, np.stack(clickable) if clickable else empty
    )


def _smooth(rng: np.random.Generator, size: int, scale: float) -> Field:
    """A smooth random field in 0..1, features about `scale` of the side."""
    coarse = max(3, round(1 / scale))
    field = ndimage.zoom(rng.random((coarse, coarse)).astype(np.float32), size / coarse, order=3)
    return np.clip(field[:size, :size], 0, 1)


def _blob(rng: np.random.Generator, rows: Field, columns: Field) -> NDArray[np.bool_]:
    """A star-shaped region: an ellipse whose radius a few harmonics disturb."""
    a = np.exp(rng.uniform(np.log(0.04), np.log(0.36)))
    b = a * rng.uniform(0.35, 1)
    turn = rng.uniform(0, np.pi)
    dx, dy = columns - rng.uniform(0.1, 0.9), rows - rng.uniform(0.1, 0.9)
    u = (dx * np.cos(turn) + dy * np.sin(turn)) / a
    v = (dy * np.cos(turn) - dx * np.sin(turn)) / b
    angle = np.arctan2(v, u)
    radius = np.ones_like(angle)
    rough = rng.choice([0.0, 0.06, 0.15])
    for k in range(2, 8):
        radius += rough * rng.normal() / np.sqrt(k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    return np.asarray(np.hypot(u, v) < radius)


def _band(rng: np.random.Generator, rows: Field, columns: Field) -> NDArray[np.bool_]:
    """A layer or fascia: a curved strip, thin or thick, across the picture or part of it."""
    along, across = (columns, rows) if rng.random() < 0.8 else (rows, columns)
    middle = rng.uniform(0.05, 0.95) + rng.uniform(-0.3, 0.3) * (along - 0.5)
    middle += rng.uniform(0, 0.06) * np.sin(2 * np.pi * (rng.uniform(0.3, 2) * along + rng.random()))
    half = np.exp(rng.uniform(np.log(0.006), np.log(0.09)))
    strip = np.abs(across - middle) < half * (1 + 0.4 * np.sin(7 * along + rng.uniform(0, 6)))
    if rng.random() < 0.4:
        start = rng.uniform(0, 0.5)
        strip &= (along > start) & (along < start + rng.uniform(0.3, 0.8))
    return np.asarray(strip)


def _paint(
    rng: np.random.Generator,
    echo: Field,
    shape: NDArray[np.bool_],
    shapes: list[NDArray[np.bool_]],
    level: float,
) -> None:
    texture = 1 + rng.uniform(0, 0.5) * (_smooth(rng, len(echo), rng.uniform(0.03, 0.2)) - 0.5)
    # A soft border: the weight is blurred, the mask is not.
    weight = ndimage.gaussian_filter(shape.astype(np.float32), rng.uniform(0.5, 2.0))
    echo *= 1 - weight
    echo += weight * level * texture
    shapes.append(shape)


def _rim(
    rng: np.random.Generator, shape: NDArray[np.bool_], rows: Field, columns: Field
) -> NDArray[np.bool_]:
    """A bright wall around a shape, in places missing, as bone and capsule show."""
    width = int(rng.integers(1, 5))
    wall = ndimage.binary_dilation(shape, iterations=width) & ~shape
    if rng.random() < 0.6:
        phase, direction = rng.uniform(0, 2 * np.pi, 2)
        along = columns * np.cos(direction) + rows * np.sin(direction)
        wall &= np.sin(2 * np.pi * along * rng.uniform(1, 4) + phase) > rng.uniform(-0.9, 0.3)
    return np.asarray(wall)


def _cast(echo: Field, shape: NDArray[np.bool_], factor: float) -> None:
    """Shadow (factor < 1) or enhancement (> 1) below a shape."""
    below = np.maximum.accumulate(shape, axis=0) & ~shape
    echo *= 1 + (factor - 1) * ndimage.gaussian_filter(below.astype(np.float32), 2)


def _image(rng: np.random.Generator, echo: Field) -> NDArray[np.uint8]:
    size = len(echo)
    sigma = (rng.uniform(0.4, 1.6), rng.uniform(0.6, 2.8))
    noise = rng.standard_normal((2, size, size), np.float32)
    real, imaginary = (ndimage.gaussian_filter(n, sigma) for n in noise)
    envelope = np.hypot(real, imaginary)
    envelope /= envelope.mean()
    strength = rng.uniform(0.4, 1.0)
    amplitude = np.clip(echo, 0.005, None) * (1 - strength + strength * envelope)
    decibel = 20 * np.log10(amplitude + 10 ** (-rng.uniform(1.5, 3)))
    span = rng.uniform(30, 60)
    top = np.percentile(decibel, 99.5)
    grey = np.clip((decibel - top + span) / span, 0, 1) ** rng.uniform(0.8, 2.2)
    if rng.random() < 0.5:
        grey = ndimage.gaussian_filter(grey, rng.uniform(0.3, 1.2))
    return (255 * rng.uniform(0.6, 1) * grey).astype(np.uint8)


def _sector(rng: np.random.Generator, rows: Field, columns: Field) -> NDArray[np.bool_]:
    """The field of view: whole (linear), or a fan with a curved or pointed top."""
    if rng.random() < 0.5:
        return np.ones(rows.shape, bool)
    apex = rng.uniform(-0.5, 0.05)
    x, y = columns - rng.uniform(0.4, 0.6), rows - apex
    radius, angle = np.hypot(x, y), np.arctan2(x, y)
    return np.asarray(
        (np.abs(angle) < rng.uniform(0.5, 0.9))
        & (radius > -apex)
        & (radius < 1 - apex + rng.uniform(-0.1, 0.1))
    )


def _marks(rng: np.random.Generator, picture: NDArray[np.uint8]) -> None:
    """Scale ticks and caption-like blocks that scanners burn in."""
    size = len(picture)
    if rng.random() < 0.4:
        column = int(rng.integers(2, size // 16))
        picture[:: int(rng.integers(8, 24)), column : column + 3] = int(rng.integers(150, 256))
    for _ in range(rng.integers(0, 4)):
        y, x = rng.integers(0, size - 12, 2)
        block = rng.random((6, int(rng.integers(6, 40)))) < 0.5
        view = picture[y : y + 6, x : x + block.shape[1]]
        view[block[:, : view.shape[1]]] = 255
