"""Simulated clicks, boxes and scribbles for a known mask.

`center_click` follows RITM's protocol (arXiv 2102.06583): the pixel farthest from the object's border. The
other prompts are drawn at random, for training and for tests of robustness.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import line

from uniultra.prompts.types import Box, Mask, Point, Scribble


def components(mask: Mask, smallest: int = 1) -> list[Mask]:
    """The 8-connected components of at least `smallest` pixels, largest first."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    return [labels == 1 + n for n in np.argsort(-sizes, kind="stable") if sizes[n] >= smallest]


def depth(region: Mask) -> NDArray[np.float64]:
    """Distance of a region's pixels to the nearest one outside it, `(H,W)`; the picture's edge is outside."""
    distance = np.zeros(region.shape)
    # Only the region's bounding box: the transform is most of a simulated click's time.
    for rows, columns in ndimage.find_objects(region.astype(np.uint8)):
        part = np.pad(region[rows, columns], 1)
        distance[rows, columns] = ndimage.distance_transform_edt(part)[1:-1, 1:-1]
    return distance


def center_click(mask: Mask, positive: bool = True) -> Point:
    """A click on the pixel of a non-empty `mask` that is farthest from its border."""
    y, x = np.unravel_index(np.argmax(depth(mask)), mask.shape)
    return Point(float(x), float(y), positive)


def uniform_click(mask: Mask, rng: np.random.Generator, positive: bool = True) -> Point:
    """A click on any pixel of a non-empty mask, all equally probable."""
    rows, columns = np.nonzero(mask)
    n = rng.integers(len(rows))
    return Point(float(columns[n]), float(rows[n]), positive)


def random_click(mask: Mask, rng: np.random.Generator, positive: bool = True) -> Point:
    """A click on a random pixel of a non-empty mask, preferring its inside (eroded by up to 3 pixels)."""
    inner = ndimage.binary_erosion(mask, iterations=int(rng.integers(0, 4)))
    return uniform_click(inner if inner.any() else mask, rng, positive)


def shaky_click(mask: Mask, rng: np.random.Generator, reach: float) -> Point:
    """`center_click` moved to a random pixel of the non-empty mask at most `reach` pixels away."""
    centre = center_click(mask)
    rows, columns = np.nonzero(mask)
    near = np.flatnonzero(np.hypot(columns - centre.x, rows - centre.y) <= reach)
    n = rng.choice(near)
    return Point(float(columns[n]), float(rows[n]))


def tight_box(mask: Mask) -> Box:
    """The box around a non-empty mask, its corner pixels included."""
    rows, columns = np.nonzero(mask)
    return Box(columns.min(), rows.min(), columns.max(), rows.max())


def noisy_box(mask: Mask, rng: np.random.Generator, share: float = 0.1) -> Box:
    """`tight_box` with every side moved by up to `share` of the box's size, clipped to the picture."""
    box = tight_box(mask)
    width, height = box.x1 - box.x0 + 1, box.y1 - box.y0 + 1
    dx0, dx1, dy0, dy1 = rng.uniform(-share, share, 4)
    x = np.clip([box.x0 + dx0 * width, box.x1 + dx1 * width], 0, mask.shape[1] - 1)
    y = np.clip([box.y0 + dy0 * height, box.y1 + dy1 * height], 0, mask.shape[0] - 1)
    return Box(float(x[0]), float(y[0]), float(x[1]), float(y[1]))


def random_scribble(mask: Mask, rng: np.random.Generator, positive: bool = True) -> Scribble:
    """A broken line of two to four strokes between pixels of a non-empty mask, kept inside it."""
    rows, columns = np.nonzero(mask)
    chosen = rng.integers(len(rows), size=rng.integers(2, 5))
    pixels = np.zeros(mask.shape, bool)
    for a, b in pairwise(chosen):
        pixels[line(rows[a], columns[a], rows[b], columns[b])] = True
    pixels[rows[chosen[0]], columns[chosen[0]]] = True
    return Scribble(ndimage.binary_dilation(pixels, iterations=int(rng.integers(1, 3))) & mask, positive)
