"""Synthetic B-mode scenes with several structures each and exact masks.

As in SynthSeg and ScribblePrompt, shapes and contrasts vary far beyond anatomy, so that only the prompt
tells a network which structure to segment. `anatomy` paints tissue, `bmode` scans it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uniultra.synthesis.anatomy import Body, populate
from uniultra.synthesis.bmode import marks, scan
from uniultra.synthesis.shapes import grid


@dataclass(frozen=True, eq=False)
class Scene:
    """A generated picture with its structures.

    A structure that lies wholly inside another is part of it, but a click on it means the inner structure.

    Attributes:
        picture: `(S,S)` uint8.
        targets: masks of the structures, `(N,S,S)` bool.
        clickable: the part of each target where a click means that target, `(N,S,S)` bool.
    """

    picture: NDArray[np.uint8]
    targets: NDArray[np.bool_]
    clickable: NDArray[np.bool_]


def scene(rng: np.random.Generator, size: int = 256, smallest: int | None = None) -> Scene:
    """Draw one scene of `size` x `size` pixels.

    Args:
        rng: random generator; the same state draws the same scene.
        size: side in pixels; default 256.
        smallest: smallest area of a target in pixels; None (default) scales 60 at `size` 256.

    >>> drawn = scene(np.random.default_rng(1))
    >>> drawn.picture.shape, drawn.picture.dtype, drawn.targets.shape == drawn.clickable.shape
    ((256, 256), dtype('uint8'), True)
    >>> bool((drawn.clickable & ~drawn.targets).any())
    False
    """
    straight = grid(size)
    body = Body(rng, straight)
    populate(body)
    picture, seen = scan(rng, body.tissue, straight)
    marks(rng, picture, seen)
    smallest = max(12, round(60 * (size / 256) ** 2)) if smallest is None else smallest
    return _collect(picture, [s & seen for s in body.shapes], smallest)


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
