"""Synthetic B-mode scenes with several structures each and exact masks.

The idea is that of SynthSeg and ScribblePrompt: shapes and contrasts vary far beyond anatomy, so that a
network must look at the prompt to know what is meant. `anatomy` paints tissue, `bmode` scans it.
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
    """A picture `(S,S)` uint8, its targets `(N,S,S)` bool, and where a click means each target.

    A structure that lies wholly inside another is part of it; a click on the inner one means the
    inner one, hence `clickable` `(N,S,S)` bool, a part of `targets`.
    """

    picture: NDArray[np.uint8]
    targets: NDArray[np.bool_]
    clickable: NDArray[np.bool_]


def scene(rng: np.random.Generator, size: int = 256, smallest: int | None = None) -> Scene:
    """Draw one scene of `size` x `size` pixels.

    Args:
        rng: source of chance; the same state draws the same scene.
        size: side in pixels.
        smallest: pixels that a target has at least; None takes 60 at 256 pixels, in proportion.
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
