"""Corrective clicks of a simulated annotator: most often where the NoC benchmark clicks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uniultra.prompts.simulation.clicks_boxes import depth
from uniultra.prompts.types import Mask, MaskPrompt, Point, PromptSet

DEEPEST, NEAR = 0.65, 0.25  # probabilities of the deepest pixel and of one near it; else any wrong pixel
INNER = 0.5  # of the largest depth: how deep a click "near" the deepest pixel lies at least
LARGE = 128  # pixels of height or width from which a region is measured on every second pixel
THIN = 3.0  # pixels of depth below which it is measured on all of them, since the grid could miss it


def corrected(prompts: PromptSet, predicted: Mask, target: Mask, rng: np.random.Generator) -> PromptSet:
    """`prompts` with one more click where `predicted` is wrong, and `predicted` as the mask to refine.

    A correct answer gets no click, an empty one is not sent as a mask. All masks are `(H,W)`.
    """
    click = error_click(predicted, target, rng, prompts.points)
    return replace(
        prompts,
        points=prompts.points if click is None else (*prompts.points, click),
        mask=MaskPrompt(predicted) if predicted.any() else None,
    )


def error_click(
    predicted: Mask, target: Mask, rng: np.random.Generator, taken: Iterable[Point] = ()
) -> Point | None:
    """The next click, or None where no pixel is wrong or all wrong ones are in `taken`.

    Most often the pixel deepest inside the largest error, as NoC is measured (arXiv 2102.06583, see
    `uniultra.metrics.interactive`); else one near it; sometimes any wrong pixel.
    """
    missed, surplus = coarse_depth(target & ~predicted), coarse_depth(predicted & ~target)
    for point in taken:
        missed[round(point.y), round(point.x)] = surplus[round(point.y), round(point.x)] = 0
    deepest = missed.max(), surplus.max()
    if not any(deepest):
        return None
    how = rng.random()
    own = missed if deepest[0] > deepest[1] else surplus
    if how < DEEPEST:
        chosen = int(own.argmax())
    else:
        region = own >= INNER * max(deepest) if how < DEEPEST + NEAR else np.maximum(missed, surplus) > 0
        places = np.flatnonzero(region)
        chosen = int(places[rng.integers(len(places))])
    row, column = divmod(chosen, target.shape[1])
    return Point(float(column), float(row), bool(target[row, column]))


def coarse_depth(region: Mask) -> NDArray[np.float32]:
    """`depth` of a region `(H,W)`; of a large one measured on every second pixel and row, 0 elsewhere."""
    for rows, columns in ndimage.find_objects(region.astype(np.uint8)):
        part = region[rows, columns]
        if max(part.shape) > LARGE and (half := 2 * depth(part[::2, ::2])).max() > THIN:
            coarse = np.zeros(region.shape, np.float32)
            coarse[rows, columns][::2, ::2] = half
            return coarse
    return depth(region).astype(np.float32)
