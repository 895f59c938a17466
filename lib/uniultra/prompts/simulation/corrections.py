"""Where an annotator clicks to correct an answer: most often where the benchmark does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uniultra.prompts.simulation.clicks_boxes import depth
from uniultra.prompts.types import Mask, MaskPrompt, Point, PromptSet

DEEPEST, NEAR = 0.65, 0.25  # shares of clicks; the rest go on any wrong pixel
INNER = 0.5  # of the largest depth: where a person who aims at the middle may hit
LARGE = 128  # pixels; regions beyond it are measured on every second pixel
THIN = 3.0  # pixels; but not those that such a grid could miss


def corrected(prompts: PromptSet, predicted: Mask, target: Mask, rng: np.random.Generator) -> PromptSet:
    """`prompts` with one more click where `predicted` is wrong, and `predicted` as the mask to refine.

    An answer that is right gets no click; an empty one is no mask. All masks are `(H,W)`.
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
    """The next click, or None where all is right or has been clicked.

    Most often the pixel deepest inside the largest error, as NoC is measured (arXiv 2102.06583, see
    `uniultra.metrics.interactive`); else one about there; sometimes any wrong one.
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
    """`depth`, of a large region on every second pixel of every second row only; the others are 0."""
    found = np.zeros(region.shape, np.float32)
    for rows, columns in ndimage.find_objects(region.astype(np.uint8)):
        part = region[rows, columns]
        if max(part.shape) > LARGE:
            half = 2 * depth(part[::2, ::2])
            if half.max() > THIN:
                found[rows, columns][::2, ::2] = half
                return found
        found[rows, columns] = depth(part)
    return found
