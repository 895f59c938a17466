"""The simulated annotator of the shipped weights: hasty first prompts of every kind, then corrections."""

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
# probabilities of the kinds
HASTY = (0.4, 0.1, 0.22, 0.08, 0.1, 0.1, 0.0)
EVERY = (0.42, 0.06, 0.2, 0.06, 0.1, 0.04, 0.12)


def first_prompt(
    target: Mask, clickable: Mask, rng: np.random.Generator, weights: tuple[float, ...] = HASTY
) -> PromptSet:
    """A first prompt for a non-empty `target` `(H,W)`; `weights` are the probabilities of KINDS.

    A lone click lies inside `clickable` `(H,W)`; where that is empty, another kind is drawn.
    """
    probabilities = np.asarray(weights, float)
    if not clickable.any():
        probabilities = probabilities * (np.asarray(KINDS) != "click")
    kind = KINDS[rng.choice(len(KINDS), p=probabilities / probabilities.sum())]
    reach = int(rng.integers(4, 24))
    if kind == "click":
        middle = rng.random() < 0.4
        return PromptSet(points=(center_click(clickable) if middle else random_click(clickable, rng),))
    if kind in ("clicks", "scribble"):
        beside = np.asarray(ndimage.binary_dilation(target, iterations=reach) & ~target)
        return _clicks(target, beside, rng) if kind == "clicks" else _scribbles(target, beside, rng)
    if kind in ("box", "box_click"):
        box = tight_box(target) if rng.random() < 0.4 else noisy_box(target, rng)
        return PromptSet(points=(random_click(target, rng),) if kind == "box_click" else (), box=box)
    if kind == "lasso":
        return PromptSet(lasso=random_lasso(target, rng))
    return PromptSet(mask=MaskPrompt(rough_mask(target, rng)), box=noisy_box(target, rng))


def _clicks(target: Mask, beside: Mask, rng: np.random.Generator) -> PromptSet:
    """One to three clicks on the target, and as many beside it where there is room."""
    points = [random_click(target, rng) for _ in range(rng.integers(1, 4))]
    if beside.any():
        points += [random_click(beside, rng, positive=False) for _ in range(rng.integers(1, 4))]
    return PromptSet(points=tuple(points))


def _scribbles(target: Mask, beside: Mask, rng: np.random.Generator) -> PromptSet:
    """A scribble on the target, at times with one beside it."""
    strokes = [random_scribble(target, rng)]
    if beside.any() and rng.random() < 0.4:
        strokes.append(random_scribble(beside, rng, positive=False))
    return PromptSet(scribbles=tuple(strokes))


def rough_mask(target: Mask, rng: np.random.Generator) -> Mask:
    """A target as a hasty brush paints it: dilated or eroded, then shifted by up to 3 pixels."""
    steps = int(rng.integers(1, 8))
    grow = ndimage.binary_dilation if rng.random() < 0.75 else ndimage.binary_erosion
    rough = grow(target, iterations=steps)
    shift = rng.integers(-3, 4, 2)
    rough = np.roll(rough, shift, (0, 1))
    return np.asarray(rough if rough.any() else target)


def correction(prompts: PromptSet, predicted: Mask, target: Mask, rng: np.random.Generator) -> PromptSet:
    """`prompts` with one more click in an error region, most often with `predicted` as the mask to refine."""
    missed, surplus = target & ~predicted, predicted & ~target
    sizes = int(missed.sum()), int(surplus.sum())
    points = prompts.points
    if sum(sizes):
        positive = bool(rng.random() < sizes[0] / sum(sizes))
        region = missed if positive else surplus
        centred = rng.random() < 0.5
        points += (center_click(region, positive) if centred else random_click(region, rng, positive),)
    keep = rng.random() < 0.75 and predicted.any()
    return replace(prompts, points=points, mask=MaskPrompt(predicted) if keep else prompts.mask)
