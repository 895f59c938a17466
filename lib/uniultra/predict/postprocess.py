"""Removes specks beside a mask and fills pinholes in it, where no prompt asks for them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uniultra.prompts.types import PromptSet

SMALL = 0.1  # of the largest part, or of the mask
_ROUND = np.ones((3, 3), bool)


def tidy(mask: NDArray[np.bool_], prompts: PromptSet) -> NDArray[np.bool_]:
    """The mask without parts smaller than a tenth of its largest, and without holes smaller than a tenth.

    What a person pointed at stays: a part that holds a positive click or scribble, or that the mask to refine
    held; a hole that holds a negative one, or that the mask to refine left out.

    Args:
        mask: `(H,W)` bool, pixels of the picture; parts are 8-connected, holes 4-connected.
        prompts: what was asked, on the same picture.
    """
    if not mask.any():
        return mask
    box = ndimage.find_objects(mask.view(np.uint8))[0]
    tidied = np.zeros_like(mask)
    tidied[box] = _filled(_without_specks(mask[box], _asked(prompts, box, positive=True)), prompts, box)
    return tidied


def _without_specks(mask: NDArray[np.bool_], asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, count = ndimage.label(mask, _ROUND)
    if count < 2:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    keep = sizes >= SMALL * sizes.max()
    keep[parts[asked]] = True
    keep[0] = False
    return keep[parts]


def _filled(mask: NDArray[np.bool_], prompts: PromptSet, box: tuple[slice, slice]) -> NDArray[np.bool_]:
    holes, count = ndimage.label(~mask)
    if not count:
        return mask
    fill = np.bincount(holes.ravel()) < SMALL * mask.sum()
    fill[holes[_asked(prompts, box, positive=False)]] = False
    for line in (holes[0], holes[-1], holes[:, 0], holes[:, -1]):
        fill[line] = False  # not a hole: it is open to the outside
    fill[0] = False
    return mask | fill[holes]


def _asked(prompts: PromptSet, box: tuple[slice, slice], *, positive: bool) -> NDArray[np.bool_]:
    """Pixels within `box` that the person's prompts of one sign lie on."""
    rows, columns = box
    shape = rows.stop - rows.start, columns.stop - columns.start
    asked = np.zeros(shape, bool)
    for point in prompts.points:
        row, column = round(point.y) - rows.start, round(point.x) - columns.start
        if point.positive == positive and 0 <= row < shape[0] and 0 <= column < shape[1]:
            asked[row, column] = True
    for scribble in prompts.scribbles:
        if scribble.positive == positive:
            asked |= scribble.pixels[box]
    if prompts.mask:
        asked |= prompts.mask.mask[box] == positive
    return asked
