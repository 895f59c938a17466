"""Convert strokes over a picture into boxes, outlines and pixels: numpy only."""

from __future__ import annotations

from typing import List, NamedTuple, Tuple

import numpy as np

from ..errors import OutsideImage, PromptsError

# More corners do not describe a hand-drawn outline any better, but make the request longer.
_MAX_CORNERS = 256


class StrokePath(NamedTuple):
    """A stroke over a picture.

    Attributes:
        xy: (N,2) continuous pixels (x,y) of the picture; integers are the pixels' centres.
        shape: (rows, columns) of the picture.
        pixel_mm: (2,3), the world vectors, in mm, of a step to the next column and to the next row. A round
            pen covers an ellipse of non-square pixels.
        width: diameter of the pen, mm.
    """

    xy: np.ndarray
    shape: Tuple[int, int]
    pixel_mm: np.ndarray
    width: float = 0.0


def box_corners(xy: np.ndarray, shape: Tuple[int, int]) -> Tuple[float, float, float, float]:
    """(x0,y0,x1,y1) of the bounding box of positions, clipped to a (rows, columns) picture.

    Raises:
        OutsideImage: the box covers no pixel.
    """
    limits = np.array(shape[::-1]) - 1
    low, high = np.min(xy, axis=0), np.max(xy, axis=0)
    if (high < -0.5).any() or (low > limits + 0.5).any():
        raise OutsideImage("The box lies outside the image. Draw it over the image.")
    (x0, y0), (x1, y1) = np.clip(low, 0, limits).tolist(), np.clip(high, 0, limits).tolist()
    return x0, y0, x1, y1


def lasso_corners(xy: np.ndarray, shape: Tuple[int, int]) -> List[Tuple[float, float]]:
    """The (x,y) corners of an outline, clipped to the picture, without nearly equal neighbours.

    Raises:
        PromptsError: the outline encloses no area.
    """
    inside = np.clip(np.asarray(xy, float), 0, np.array(shape[::-1]) - 1)
    distinct: List[np.ndarray] = []
    for place in inside:
        if not distinct or np.abs(place - distinct[-1]).max() > 0.25:
            distinct.append(place)
    corners = np.array(distinct).reshape(-1, 2)
    if len(corners) > _MAX_CORNERS:
        corners = corners[np.linspace(0, len(corners) - 1, _MAX_CORNERS).round().astype(int)]
    x, y = corners.T
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    if len(corners) < 3 or area < 1:
        raise PromptsError("The outline encloses nothing. Draw around the structure, on the image.")
    return [(float(a), float(b)) for a, b in corners]


def pen_mark(stroke: StrokePath) -> np.ndarray:
    """The pixels that the pen marks: (rows, columns) bool.

    These are the pixels whose centre is under the pen, and those that the pen's centre crosses.

    Raises:
        OutsideImage: no pixel is marked.
    """
    rows, columns = stroke.shape
    mark = np.zeros(stroke.shape, bool)
    path = _dense(np.asarray(stroke.xy, float))
    nearest = np.floor(path + 0.5).astype(int)
    on = ((nearest >= 0) & (nearest < [columns, rows])).all(axis=1)
    mark[nearest[on, 1], nearest[on, 0]] = True
    metric = stroke.pixel_mm @ stroke.pixel_mm.T
    width = stroke.width + 1e-6  # a centre exactly under the pen's edge counts
    reach = width / 2 * np.sqrt(np.diag(np.linalg.inv(metric)))
    corners = np.unique(np.round(path, 1), axis=0)
    for x, y in corners:
        x0, x1 = max(int(np.ceil(x - reach[0])), 0), min(int(np.floor(x + reach[0])), columns - 1)
        y0, y1 = max(int(np.ceil(y - reach[1])), 0), min(int(np.floor(y + reach[1])), rows - 1)
        if x0 > x1 or y0 > y1:
            continue
        dx, dy = np.arange(x0, x1 + 1) - x, np.arange(y0, y1 + 1)[:, None] - y
        squared = metric[0, 0] * dx**2 + 2 * metric[0, 1] * dx * dy + metric[1, 1] * dy**2
        mark[y0 : y1 + 1, x0 : x1 + 1] |= squared <= (width / 2) ** 2
    if not mark.any():
        raise OutsideImage("The scribble lies outside the image. Draw it on the image.")
    return mark


def _dense(xy: np.ndarray) -> np.ndarray:
    """The path with a position at least every half pixel."""
    parts = [xy[:1]]
    for a, b in zip(xy[:-1], xy[1:]):  # noqa: B905, RUF007 - Python 3.9
        steps = max(int(np.ceil(2 * np.abs(b - a).max())), 1)
        parts.append(a + (b - a) * (np.arange(1, steps + 1) / steps)[:, None])
    return np.concatenate(parts)
