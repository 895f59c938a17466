"""Number of clicks (NoC) and number of failures (NoF), as RITM and SimpleClick count them (arXiv 2102.06583).

Every click goes on the pixel that is deepest inside the larger of the missed and the surplus region:
the one whose Euclidean distance transform reaches higher. A missed region gets a positive click, a
surplus one a negative click (also when both are equally deep), and no pixel is clicked twice. The edge
of the picture counts as a border. The threshold is of IoU, not Dice. A case that does not reach it within
20 clicks counts 20.

NoF is strict: cases that never reach the threshold. (RITM's `over_max` also counts those that reach it
exactly at the last click.) Masks are binarised by the system under test, at its own threshold: probability
0.5 in `uniultra.predict`, 0.49 in RITM.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from uniultra.errors import PromptError
from uniultra.metrics.overlap import iou
from uniultra.prompts.simulation.clicks_boxes import depth
from uniultra.prompts.types import Mask, MaskPrompt, Point, PromptSet

MAX_CLICKS = 20
Ask = Callable[[PromptSet], Mask]


@dataclass(frozen=True, eq=False)
class ClickRun:
    """The clicks on one object, until it was right or the clicks were spent.

    Attributes:
        points: the clicks in order.
        masks: the `(H,W)` answer after each.
        ious: IoU after each.
    """

    points: tuple[Point, ...]
    masks: tuple[Mask, ...]
    ious: tuple[float, ...]

    def mask_at(self, clicks: int) -> Mask:
        """The mask after `clicks` clicks (from 1); the last mask of a run that ended before."""
        return self.masks[min(clicks, len(self.masks)) - 1]


def clicks_needed(ious: tuple[float, ...], threshold: float, clicks: int = MAX_CLICKS) -> int:
    """NoC of one case: the first click at which the IoU is at least `threshold`, else `clicks`.

    >>> ious = (0.71, 0.86, 0.92)
    >>> clicks_needed(ious, 0.85), clicks_needed(ious, 0.95), failed(ious, 0.95)
    (2, 20, True)
    """
    reached = (n for n, value in enumerate(ious[:clicks], 1) if value >= threshold)
    return next(reached, clicks)


def failed(ious: tuple[float, ...], threshold: float, clicks: int = MAX_CLICKS) -> bool:
    """Whether a case counts for NoF: the IoU is below `threshold` after every click."""
    return all(value < threshold for value in ious[:clicks])


def click_until(
    ask: Ask,
    truth: Mask,
    *,
    clicks: int = MAX_CLICKS,
    until: float | None = None,
    at_least: int = 1,
    refine: bool = True,
) -> ClickRun:
    """Click on one object by the protocol above.

    Args:
        ask: returns the `(H,W)` bool mask for prompts; called once per click, with all clicks so far.
        truth: `(H,W)` bool, not empty.
        clicks: maximal number of clicks.
        until: stop once the IoU reaches this value; None continues while any pixel is wrong.
        at_least: clicks to make before `until` may stop the run.
        refine: send the previous answer as the mask to refine, when it is not empty.

    Raises:
        PromptError: an empty truth, or no click allowed.

    A perfect system needs one click:

        >>> truth = np.zeros((60, 80), bool)
        >>> truth[10:31, 10:31] = True
        >>> run = click_until(lambda prompts: truth, truth)
        >>> run.points, run.ious
        ((Point(x=20.0, y=20.0, positive=True),), (1.0,))
    """
    if not truth.any():
        raise PromptError("Expected an object to click on; the mask is empty. Leave such pictures out.")
    if clicks < 1:
        raise PromptError(f"Expected at least one click; got {clicks}.")
    free = np.ones(truth.shape, bool)
    mask = np.zeros(truth.shape, bool)
    points: list[Point] = []
    masks: list[Mask] = []
    ious: list[float] = []
    while len(points) < clicks:
        point = next_click(mask, truth, free)
        if point is None:
            break  # all is right, or every wrong pixel has been clicked
        free[int(point.y), int(point.x)] = False
        points.append(point)
        mask = ask(PromptSet(tuple(points), mask=MaskPrompt(mask) if refine and mask.any() else None))
        masks.append(mask)
        ious.append(iou(mask, truth))
        if until is not None and ious[-1] >= until and len(points) >= at_least:
            break
    return ClickRun(tuple(points), tuple(masks), tuple(ious))


def next_click(predicted: Mask, truth: Mask, free: Mask | None = None) -> Point | None:
    """The next click of the protocol, or None where no pixel is wrong.

    Args:
        predicted, truth: `(H,W)` bool.
        free: pixels that may be clicked, `(H,W)` bool; None for all.
    """
    allowed: Mask | bool = True if free is None else free
    missed, surplus = depth(truth & ~predicted) * allowed, depth(predicted & ~truth) * allowed
    positive = bool(missed.max() > surplus.max())
    deeper = missed if positive else surplus
    if not deeper.any():
        return None
    row, column = np.unravel_index(np.argmax(deeper), deeper.shape)
    return Point(float(column), float(row), positive)
