"""Strokes as pixels: the pen is round in the world, whatever the pixels' shape; nothing lies outside."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from UniUltraLib.errors import OutsideImage, PromptsError
from UniUltraLib.prompts.strokes import StrokePath, box_corners, lasso_corners, pen_mark

SHAPE = (40, 60)
SQUARE = np.array([[0.5, 0, 0], [0, 0.5, 0]])
OBLONG = np.array([[0.5, 0, 0], [0, 0, -2.0]])
SHEARED = np.array([[0.5, 0, 0], [0.3, 0.6, 0]])


@pytest.mark.parametrize("pixel_mm", [SQUARE, OBLONG, SHEARED], ids=["square", "oblong", "sheared"])
@pytest.mark.parametrize("width", [0.0, 3.0, 7.0])
def test_the_mark_is_what_lies_under_the_pen(pixel_mm: np.ndarray, width: float) -> None:
    path = np.array([(10.2, 12.4), (30.7, 20.1), (33, 8)])
    mark = pen_mark(StrokePath(path, SHAPE, pixel_mm, width))
    dense = np.concatenate(
        [a + (b - a) * np.linspace(0, 1, 400)[:, None] for a, b in itertools.pairwise(path)]
    )
    rows, columns = np.indices(SHAPE)
    away = (np.stack([columns, rows], -1)[:, :, None] - dense) @ pixel_mm
    distance = np.linalg.norm(away, axis=-1).min(axis=-1)
    under = distance <= width / 2
    crossed = np.zeros(SHAPE, bool)
    crossed[tuple(np.floor(dense[:, ::-1] + 0.5).astype(int).T)] = True
    assert not (mark & (distance > width / 2 + 0.05) & ~crossed).any()
    assert mark[under & (distance < width / 2 - 0.15)].all() and (mark & crossed).sum() > 0.8 * crossed.sum()


def test_a_fast_pen_leaves_no_gap() -> None:
    mark = pen_mark(StrokePath(np.array([(2.0, 3.0), (57.0, 36.0)]), SHAPE, SQUARE, 0.0))
    assert mark.any(axis=0)[2:58].all() and mark.any(axis=1)[3:37].all()


def test_a_dot_is_a_mark() -> None:
    assert pen_mark(StrokePath(np.array([(5.0, 6.0)]), SHAPE, SQUARE, 0.1)).sum() == 1
    assert pen_mark(StrokePath(np.array([(5.0, 6.0)]), SHAPE, SQUARE, 2.0)).sum() == 13


def test_marks_beyond_the_edge_are_cut() -> None:
    mark = pen_mark(StrokePath(np.array([(-10.0, 5.0), (70.0, 5.0)]), SHAPE, SQUARE, 2.0))
    assert mark[5].all() and mark[3:8].any() and not mark[9:].any()
    with pytest.raises(OutsideImage):
        pen_mark(StrokePath(np.array([(-10.0, -5.0), (70.0, -5.0)]), SHAPE, SQUARE, 2.0))


def test_boxes_and_lassos_stay_on_the_picture() -> None:
    assert box_corners(np.array([(70.0, 5.5), (50.0, -3.0)]), SHAPE) == (50.0, 0.0, 59.0, 5.5)
    with pytest.raises(OutsideImage):
        box_corners(np.array([(70.0, 5.0), (90.0, 9.0)]), SHAPE)
    assert lasso_corners(np.array([(10.0, 10), (90, 10), (90, 30), (10, 30)]), SHAPE)[1] == (59.0, 10.0)
    turn = np.linspace(0, 2 * np.pi, 5000)
    outline = lasso_corners(np.c_[30 + 15 * np.cos(turn), 20 + 15 * np.sin(turn)], SHAPE)
    x, y = np.array(outline).T
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    assert len(outline) <= 256 and abs(area - np.pi * 225) < 5
    for nothing in ([(1.0, 1), (9, 9)], [(5.0, 5)] * 9, [(-9.0, 2), (-9, 9), (-5, 9)], []):
        with pytest.raises(PromptsError, match="encloses nothing"):
            lasso_corners(np.array(nothing, float).reshape(-1, 2), SHAPE)
