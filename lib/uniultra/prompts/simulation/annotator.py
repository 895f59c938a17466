"""The annotator our own weights learn from: hasty first prompts of every kind, then corrections."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from uniultra.prompts.simulation.clicks_boxes import (
    center_click,
    noisy_box,
    random_click,
    random_scribble,
    tight_box,
)
from uniultra.prompts.simulation.lasso import random_lasso
from uniultra.prompts.types import Mask, MaskPrompt, PromptSet

KINDS = ("click", "clicks", "box", "box_click", "scribble", "mask", "lasso")
HASTY = (0.4, 0.1, 0.22, 0.08, 0.1, 0.1, 0.0)  # shares of the kinds
EVERY = (0.42, 0.06, 0.2, 0.06, 0.1, 0.04, 0.12)


def first_prompt(
    target: Mask, clickable: Mask, rng: np.random.Generator, weights: tuple[float, ...] = HASTY
) -> PromptSet:
    """One prompt for a non-empty `target` `(H,W)`, its kind drawn by `weights`, one for each of KINDS.

    A lone click is given only inside `clickable`; where that is empty another kind is drawn.
    """
    shares = np.asarray(weights, float)
    if not clickable.any():
        shares = shares * (np.asarray(KINDS) != "click")
    kind = KINDS[rng.choice(len(KINDS), p=shares / shares.sum())]
    reach = int(rng.integers(4, 24))
    beside = _beside(target, reach) if kind in ("clicks", "scribble") else target
    if kind == "click":
        middle = rng.random() < 0.4
        return PromptSet(points=(center_click(clickable) if middle else random_click(clickable, rng),))
    if kind == "clicks":
        points = [random_click(target, rng) for _ in range(rng.integers(1, 4))]
        if beside.any():
            points += [random_click(beside, rng, positive=False) for _ in range(rng.integers(1, 4))]
        return PromptSet(points=tuple(points))
    if kind in ("box", "box_click"):
        box = tight_box(target) if rng.random() < 0.4 else noisy_box(target, rng)
        return PromptSet(points=(random_click(target, rng),) if kind == "box_click" else (), box=box)
    if kind == "scribble":
        strokes = [random_scribble(target, rng)]
        if beside.any() and rng.random() < 0.4:
            strokes.append(random_scribble(beside, rng, positive=False))
        return PromptSet(scribbles=tuple(strokes))
    if kind == "lasso":
        return PromptSet(lasso=random_lasso(target, rng))
    return PromptSet(mask=MaskPrompt(rough_mask(target, rng)), box=noisy_box(target, rng))


def _beside(target: Mask, reach: int) -> Mask:
    """Pixels up to `reach` steps away from a target."""
    return np.asarray(ndimage.binary_dilation(target, iterations=reach) & ~target)


def rough_mask(target: Mask, rng: np.random.Generator) -> Mask:
    """What a hasty brush makes of a target: grown or eaten, its border displaced."""
    steps = int(rng.integers(1, 8))
    grow = ndimage.binary_dilation if rng.random() < 0.75 else ndimage.binary_erosion
    rough = grow(target, iterations=steps)
    shift = rng.integers(-3, 4, 2)
    rough = np.roll(rough, shift, (0, 1))
    return np.asarray(rough if rough.any() else target)


def correction(prompts: PromptSet, predicted: Mask, target: Mask, rng: np.random.Generator) -> PromptSet:
    """`prompts` with one more click, in an error region, most often with the mask to refine."""
    missed, surplus = target & ~predicted, predicted & ~target
    sizes = int(missed.sum()), int(surplus.sum())
    points = prompts.points
    if sum(sizes):
        positive = bool(rng.random() < sizes[0] / sum(sizes))
        region = missed if positive else surplus
        pick = center_click if rng.random() < 0.5 else random_click
        points += (
            (center_click(region, positive),)
            if pick is center_click
            else (random_click(region, rng, positive),)
        )
    keep = rng.random() < 0.75 and predicted.any()
    return replace(prompts, points=points, mask=MaskPrompt(predicted) if keep else prompts.mask)
