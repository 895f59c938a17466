"""Components, hull and neighbourhoods of small shapes, drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest
from UniUltraLib.measure import binary_shapes


def drawn(*lines: str) -> np.ndarray:
    return np.array([[c == "x" for c in line] for line in lines])


def test_the_largest_component_is_connected_at_corners_too() -> None:
    largest, count = binary_shapes.largest_component(drawn("xx..x", "...x.", "..x.."))
    np.testing.assert_array_equal(largest, drawn("....x", "...x.", "..x.."))
    assert count == 2


def test_large_components_are_connected_at_sides_only() -> None:
    grid = drawn("xxx..", "xxx.x", "...x.", "xxx..")
    for share, rows in (
        (0.6, ("xxx..", "xxx..", ".....", ".....")),
        (0.5, ("xxx..", "xxx..", ".....", "xxx..")),
    ):
        np.testing.assert_array_equal(binary_shapes.large_components(grid, share), drawn(*rows))
    assert binary_shapes.large_components(np.zeros((3, 3), bool), 0.5) is None


def test_the_hull_fills_bays_and_holes() -> None:
    hull = binary_shapes.convex_hull(drawn(".x...", ".x...", ".xxxx", "....."))
    np.testing.assert_array_equal(hull, drawn(".xx..", ".xxx.", ".xxxx", "....."))
    assert not binary_shapes.convex_hull(np.zeros((4, 4), bool)).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1)])
def test_the_hull_of_a_line_is_the_line(shape: tuple[int, int]) -> None:
    assert binary_shapes.convex_hull(np.ones(shape, bool)).all()


def test_beyond_the_edge_nothing_grows_and_nothing_is_eroded() -> None:
    full = np.ones((4, 4), bool)
    assert binary_shapes.erode(full, 2).all() and binary_shapes.majority(full)[1:3, 1:3].all()
    assert not binary_shapes.majority(full)[0, 0]
    point = drawn("x....", ".....", "....x")
    np.testing.assert_array_equal(binary_shapes.dilate(point, 1), drawn("xx...", "xx.xx", "...xx"))
    np.testing.assert_array_equal(binary_shapes.erode(~point, 1), drawn("..xxx", "..x..", "xxx.."))
