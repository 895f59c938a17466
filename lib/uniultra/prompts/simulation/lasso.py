"""Simulated lassos: closed outlines of a few dozen corners, drawn loosely around a target."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import approximate_polygon, find_contours

from uniultra.prompts.simulation.clicks_boxes import tight_box
from uniultra.prompts.types import Lasso, Mask

NODES = 4  # per axis, of the grid on which the outline's distance from the border is drawn
LOOSE = (-0.02, 0.14)  # range of its mean, in lengths of the target (square root of its area)
UNSTEADY = 0.08  # its standard deviation, in the same lengths
CORNERS = (0.5, 2.5)  # range of the tolerance, in pixels, with which the outline becomes a polygon


def random_lasso(target: Mask, rng: np.random.Generator) -> Lasso:
    """A lasso around a non-empty `target` `(H,W)`, its corners `xy` within the picture.

    The outline follows the border at a smoothly changing distance, mostly outside, sometimes cutting in.
    """
    length = float(np.sqrt(target.sum()))
    reach = int(np.ceil(length * (LOOSE[1] + 2 * UNSTEADY))) + 3
    rows, columns = ndimage.find_objects(target.astype(np.uint8))[0]
    part = np.pad(target[rows, columns], reach)
    outside = ndimage.distance_transform_edt(~part)
    inside = ndimage.distance_transform_edt(part)
    wander = length * np.clip(UNSTEADY * rng.standard_normal((NODES, NODES)), -2 * UNSTEADY, 2 * UNSTEADY)
    hand = length * rng.uniform(*LOOSE) + _smooth(wander, part.shape)
    # Half a pixel further out, so that the outline of a thin target encloses its pixels.
    lines = find_contours(hand + 0.5 - (outside - inside), 0.0)
    drawn = max(lines, key=_area, default=np.zeros((0, 2)))
    corners = approximate_polygon(drawn, rng.uniform(*CORNERS))[:-1]
    if len(corners) < 3:
        return _around(target)
    last = np.array(target.shape) - 1
    corners = np.clip(corners - reach + (rows.start, columns.start), 0, last)
    return Lasso(tuple((round(float(x), 2), round(float(y), 2)) for y, x in corners))


def _smooth(nodes: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A coarse grid interpolated bilinearly to `shape`."""
    axes = [np.linspace(0, NODES - 1, side) for side in shape]
    weights = [np.clip(1 - np.abs(axis[:, None] - np.arange(NODES)), 0, 1) for axis in axes]
    return np.asarray(weights[0] @ nodes @ weights[1].T)


def _area(line: NDArray[np.float64]) -> float:
    """The area that a closed line `(P,2)` encloses."""
    y, x = line[:, 0], line[:, 1]
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


def _around(target: Mask) -> Lasso:
    box = tight_box(target)
    return Lasso(((box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)))
