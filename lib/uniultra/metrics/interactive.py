"""How many clicks an object costs: NoC and NoF as RITM and SimpleClick count them (arXiv 2102.06583).

Every click goes on the pixel that is deepest inside the larger of the missed and the surplus region:
the one whose Euclidean distance transform reaches higher. A missed region gets a positive click, a
surplus one a negative click (also when both are equally deep), and no pixel is clicked twice. The edge
of the picture counts as a border. The threshold is of IoU, not Dice. A case that does not reach it within
20 clicks counts 20.

NoF is strict: cases that never reach the threshold. (RITM's `over_max` also counts those that reach it
exactly at the last click.) The mask is whatever is asked gives, at its own threshold: 0.5 in
`uniultra.predict`, 0.49 in RITM.
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
    """One object, clicked until it was right or the clicks were spent.

    Attributes:
        points: the clicks in order.
        masks: the `(H,W)` answer after each.
        ious: IoU after each.
    """

    points: tuple[Point, ...]
    masks: tuple[Mask, ...]
    ious: tuple[float, ...]

    def mask_at(self, clicks: int) -> Mask:
        """The mask after so many clicks (from 1); where the run ended before, its last one."""
        return self.masks[min(clicks, len(self.masks)) - 1]


def clicks_needed(ious: tuple[float, ...], threshold: float, clicks: int = MAX_CLICKS) -> int:
    """NoC of one case: the first click at which the IoU is at least `threshold`, else `clicks`."""
    reached = (n for n, value in enumerate(ious[:clicks], 1) if value >= threshold)
    return next(reached, clicks)


def failed(ious: tuple[float, ...], threshold: float, clicks: int = MAX_CLICKS) -> bool:
    """Whether a case counts for NoF: the IoU is below `threshold` after each of the clicks."""
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
    """Click on one object as the protocol says.

    Args:
        ask: gives the `(H,W)` bool mask for prompts; called once per click, with all clicks so far.
        truth: `(H,W)` bool, not empty.
        clicks: at most so many.
        until: stop once the IoU is at least this; None goes on while anything is wrong.
        at_least: clicks to make before `until` may stop the run.
        refine: give the previous answer along as the mask to refine, when it is not empty.

    Raises:
        PromptError: an empty truth, or no click allowed.
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


def next_click(predicted: Mask, truth: Mask, free: Mask) -> Point | None:
    """The next click on one of the `free` pixels (all `(H,W)` bool), or None where nothing is to click."""
    missed, surplus = depth(truth & ~predicted) * free, depth(predicted & ~truth) * free
    positive = bool(missed.max() > surplus.max())
    error = missed if positive else surplus
    if not error.any():
        return None
    row, column = np.unravel_index(np.argmax(error), error.shape)
    return Point(float(column), float(row), positive)
