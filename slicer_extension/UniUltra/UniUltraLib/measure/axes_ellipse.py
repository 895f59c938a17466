"""Long axis and short axis of a closed curve, and least-squares ellipse fit.

Curves are (N,2) points (x,y), the first not repeated, in any unit with the same scale along x and y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np
from scipy.spatial import ConvexHull, distance

Point = Tuple[float, float]
Line = Tuple[Point, Point]

# Positions along the long axis at which chords are tested: the error is below a thousandth of the axis.
_CHORDS = 2000


@dataclass(frozen=True)
class Ellipse:
    """An ellipse.

    Attributes:
        centre: (x,y).
        a, b: semi-axes, a >= b.
        angle: of the long axis, in radians from x towards y.

    Examples:
        >>> head = Ellipse(centre=(0.0, 0.0), a=50.0, b=40.0, angle=0.0)  # semi-axes in mm
        >>> round(head.circumference, 1)
        283.6
    """

    centre: Point
    a: float
    b: float
    angle: float

    @property
    def circumference(self) -> float:
        """The perimeter by Ramanujan's second approximation (1914); relative error 1e-8 at axes of 2:1.

        pi (a + b) (1 + 3 h / (10 + sqrt(4 - 3 h))), h = ((a - b) / (a + b))².
        """
        h = ((self.a - self.b) / (self.a + self.b)) ** 2
        return float(np.pi * (self.a + self.b) * (1 + 3 * h / (10 + np.sqrt(4 - 3 * h))))


def line_length(line: Line) -> float:
    """The distance between the ends of a line."""
    return float(np.hypot(line[1][0] - line[0][0], line[1][1] - line[0][1]))


def long_axis(curve: np.ndarray) -> Line:
    """The two points of a curve that lie farthest apart: the maximum Feret diameter.

    Examples:
        >>> rectangle = np.array([(0.0, 0.0), (4.0, 0.0), (4.0, 3.0), (0.0, 3.0)])
        >>> line_length(long_axis(rectangle))
        5.0
    """
    corners = curve[ConvexHull(curve).vertices]
    # Start at a fixed corner, so that ties between equally long axes are always broken in the same way.
    corners = np.roll(corners, -np.lexsort(corners.T[::-1])[0], axis=0)
    apart = distance.cdist(corners, corners)
    first, second = np.unravel_index(apart.argmax(), apart.shape)
    return _point(corners[first]), _point(corners[second])


def short_axis(curve: np.ndarray, axis: Line) -> Line:
    """The longest chord perpendicular to `axis` that lies entirely within the curve."""
    start, end = np.array(axis)
    along = (end - start) / max(line_length(axis), 1e-12)
    turn = np.array([along, [-along[1], along[0]]])
    u, v = turn @ (curve - start).T
    steps = np.unique(u)
    # Chords midway between vertices touch no corner, so that each crosses the curve an even number of times.
    places = (steps[1:] + steps[:-1]) / 2
    if len(places) > _CHORDS:
        places = places[np.linspace(0, len(places) - 1, _CHORDS).astype(int)]
    u_next, v_next = np.roll(u, -1), np.roll(v, -1)
    best: Tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    for place in places:
        crossed = (u < place) != (u_next < place)
        share = (place - u[crossed]) / (u_next - u)[crossed]
        heights = np.sort(v[crossed] + share * (v_next - v)[crossed])
        inside = heights[1::2] - heights[::2]
        widest = int(inside.argmax())
        if inside[widest] > best[0]:
            best = (float(inside[widest]), float(place), heights[2 * widest], heights[2 * widest + 1])
    low, high = (start + np.array([best[1], height]) @ turn for height in best[2:])
    return _point(low), _point(high)


def farthest(curve: np.ndarray, place: Point) -> Point:
    """The point of a curve that lies farthest from `place`."""
    return _point(curve[np.hypot(*(curve - np.array(place)).T).argmax()])


def fit_ellipse(curve: np.ndarray) -> Optional[Ellipse]:
    """The ellipse with the least algebraic distance to points (N,2); None when they determine no ellipse.

    Source: Fitzgibbon, Pilu and Fisher, IEEE TPAMI 21(5), 1999, in the numerically stable form of Halir
    and Flusser, WSCG 1998.

    Examples:
        >>> t = np.linspace(0, 2 * np.pi, 90, endpoint=False)
        >>> head = fit_ellipse(np.column_stack([50 * np.cos(t), 40 * np.sin(t)]))
        >>> round(head.a), round(head.b), round(head.circumference)  # semi-axes, head circumference
        (50, 40, 284)
    """
    centre, scale = curve.mean(axis=0), curve.std()
    if len(curve) < 6 or scale == 0:
        return None
    x, y = ((curve - centre) / scale).T
    quadratic, linear = np.column_stack([x * x, x * y, y * y]), np.column_stack([x, y, np.ones(len(x))])
    try:
        to_linear = -np.linalg.solve(linear.T @ linear, linear.T @ quadratic)
        scatter = quadratic.T @ quadratic + quadratic.T @ linear @ to_linear
        constraint = np.array([[0, 0, 2], [0, -1, 0], [2, 0, 0]], float)
        vectors = np.linalg.eig(np.linalg.solve(constraint, scatter))[1].real
    except np.linalg.LinAlgError:
        return None
    ellipses = 4 * vectors[0] * vectors[2] - vectors[1] ** 2 > 0
    if not ellipses.any():
        return None
    conic = vectors[:, ellipses.argmax()]
    return _ellipse(np.concatenate([conic, to_linear @ conic]), centre, scale)


def _ellipse(conic: np.ndarray, centre: np.ndarray, scale: float) -> Optional[Ellipse]:
    """The ellipse a x² + b xy + c y² + d x + e y + f = 0, scaled by `scale` and moved to `centre`."""
    a, b, c, d, e, f = conic
    form = np.array([[a, b / 2], [b / 2, c]])
    middle = np.linalg.solve(-2 * form, [d, e])
    values, directions = np.linalg.eigh(form)
    squares = -(f + np.dot([d, e], middle) / 2) / values
    if not (np.isfinite(squares).all() and (squares > 0).all()):
        return None
    halves = np.sqrt(squares) * scale
    longer = int(halves.argmax())
    along = directions[:, longer]
    return Ellipse(
        _point(middle * scale + centre),
        float(halves[longer]),
        float(halves[1 - longer]),
        float(np.arctan2(along[1], along[0])),
    )


def _point(values: np.ndarray) -> Point:
    return float(values[0]), float(values[1])
