"""Removes specks beside a mask and fills pinholes in it, unless a prompt lies on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uniultra.prompts.types import PromptSet

SMALL = 0.1  # area of a speck relative to the largest part, and of a pinhole relative to the mask
_ROUND = np.ones((3, 3), bool)


def tidy(mask: NDArray[np.bool_], prompts: PromptSet) -> NDArray[np.bool_]:
    """The mask without parts smaller than a tenth of its largest, and without holes smaller than a tenth.

    Prompted regions stay: a part with a positive click or scribble or with pixels of the mask to refine; a
    hole with a negative one or with pixels outside the mask to refine.

    Args:
        mask: `(H,W)` bool, pixels of the picture; parts are 8-connected, holes 4-connected.
        prompts: the prompts of the mask, on the same picture.
    """
    if not mask.any():
        return mask
    box = ndimage.find_objects(mask.view(np.uint8))[0]
    tidied = np.zeros_like(mask)
    tidied[box] = _filled(_without_specks(mask[box], _prompted(prompts, box, positive=True)), prompts, box)
    return tidied


def _without_specks(mask: NDArray[np.bool_], prompted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, count = ndimage.label(mask, _ROUND)
    if count < 2:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    keep = sizes >= SMALL * sizes.max()
    keep[parts[prompted]] = True
    keep[0] = False
    return keep[parts]


def _filled(mask: NDArray[np.bool_], prompts: PromptSet, box: tuple[slice, slice]) -> NDArray[np.bool_]:
    holes, count = ndimage.label(~mask)
    if not count:
        return mask
    fill = np.bincount(holes.ravel()) < SMALL * mask.sum()
    fill[holes[_prompted(prompts, box, positive=False)]] = False
    for line in (holes[0], holes[-1], holes[:, 0], holes[:, -1]):
        fill[line] = False  # not a hole: open to the outside
    fill[0] = False
    return mask | fill[holes]


def _prompted(prompts: PromptSet, box: tuple[slice, slice], *, positive: bool) -> NDArray[np.bool_]:
    """Pixels within `box` on which prompts of one sign lie."""
    rows, columns = box
    shape = rows.stop - rows.start, columns.stop - columns.start
    prompted = np.zeros(shape, bool)
    for point in prompts.points:
        row, column = round(point.y) - rows.start, round(point.x) - columns.start
        if point.positive == positive and 0 <= row < shape[0] and 0 <= column < shape[1]:
            prompted[row, column] = True
    for scribble in prompts.scribbles:
        if scribble.positive == positive:
            prompted |= scribble.pixels[box]
    if prompts.mask:
        prompted |= prompts.mask.mask[box] == positive
    return prompted
