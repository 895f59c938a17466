"""Second look at a small object: segments it again in an enlarged crop of the picture.

After the zoom-in of arXiv 2001.10331: a network of fixed input size sees a small object coarsely, so the
same prompts are given on the crop around its first answer, and the logits of both are averaged. The
constants were chosen on `val` pictures and generated scenes; training/results/closer.json has the gain.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from uniultra.prompts.kinds import cropped
from uniultra.prompts.types import Crop, PromptSet

MARGIN = 1.0  # on each side, relative to the object's size
LEAST = 0.3  # smallest crop relative to the picture's sides: a smaller one lacks context
MOST = 0.5  # largest crop relative to the picture's area: a larger one gains nothing
GRID = 16  # steps over a picture's side, so that the next click on an object finds its crop encoded


def look(mask: NDArray[np.bool_], prompts: PromptSet) -> tuple[Crop, PromptSet] | None:
    """The crop to segment again and the prompts in its coordinates; None for empty masks and large objects.

    Args:
        mask: `(H,W)` bool, the first answer.
        prompts: the object's prompts; the crop is around the box, else around the mask and positive clicks.
    """
    rows, columns = mask.shape
    if prompts.box:
        ends = [(prompts.box.x0, prompts.box.y0), (prompts.box.x1, prompts.box.y1)]
    else:
        ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not ys.size:
            return None
        ends = [(float(xs[0]), float(ys[0])), (float(xs[-1]), float(ys[-1]))]
        ends += [(p.x, p.y) for p in prompts.points if p.positive]
    left, right = _span([x for x, _ in ends], columns)
    top, bottom = _span([y for _, y in ends], rows)
    crop = Crop(top, bottom, left, right)
    if math.prod(crop.shape) > MOST * rows * columns:
        return None
    near = cropped(prompts, crop)
    return (crop, near) if near else None


def _span(ends: list[float], length: int) -> tuple[int, int]:
    low, high = min(ends), max(ends) + 1
    half = max((high - low) * (0.5 + MARGIN), length * LEAST / 2)
    middle, step = (low + high) / 2, length / GRID
    first, last = math.floor((middle - half) / step) * step, math.ceil((middle + half) / step) * step
    return max(0, int(first)), min(length, int(last))
