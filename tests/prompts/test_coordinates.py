"""Voxels, pixels and the network's square agree in both directions."""

import pytest
import torch

from uniultra.errors import PromptError
from uniultra.prompts import Box
from uniultra.prompts.coordinates import Fit, box_from_roi, slice_of, to_xy


@pytest.mark.parametrize(("axis", "expected"), [("k", (1, 2)), ("j", (1, 3)), ("i", (2, 3))])
def test_a_voxel_on_each_plane(axis, expected):
    assert to_xy([1, 2, 3], axis) == expected
    assert to_xy([7, 8], axis) == (7, 8)


def test_slice_of_takes_the_first_point_with_three_numbers():
    assert slice_of([[1, 2], [1, 2, 0], [1, 2, 9]]) == 0
    assert slice_of([[4, 5, 6.5]]) == 7
    assert slice_of([[4, 5, 6]], "i") == 4
    assert slice_of([[1, 2]]) is None


@pytest.mark.parametrize(
    ("roi", "axis", "box"),
    [
        ([10, 5, 20, 30], "k", Box(10, 5, 20, 30)),
        ([10, 20, 5, 30, 2, 4], "k", Box(10, 5, 20, 30)),
        ([70, 30, 80, 20, 5, 15], "k", Box(30, 20, 70, 80)),
        ([70, 30, 80, 20, 5, 15], "j", Box(30, 5, 70, 15)),
        ([70, 30, 80, 20, 5, 15], "i", Box(20, 5, 80, 15)),
    ],
)
def test_both_roi_orders_with_corners_in_any_order(roi, axis, box):
    assert box_from_roi(roi, axis) == box


@pytest.mark.parametrize(
    "roi", [[1, 2, 3], [1, 2, 3, "4"], "abcd", [1, 2, 3, True], [1, 2, 3, float("nan")], 5]
)
def test_malformed_numbers_are_refused(roi):
    with pytest.raises(PromptError):
        box_from_roi(roi)


@pytest.mark.parametrize("mode", ["squash", "pad"])
@pytest.mark.parametrize(("rows", "columns"), [(300, 500), (500, 300), (64, 64), (1000, 37)])
def test_a_pixel_lands_where_the_picture_shows_it(mode, rows, columns):
    fit = Fit(rows, columns, 256, mode)
    picture = torch.zeros(1, rows, columns)
    y, x = rows // 3, columns // 4
    picture[0, max(0, y - 6) : y + 7, max(0, x - 6) : x + 7] = 1
    square = fit.square(picture)[0]
    weights = square / square.sum()
    seen_y = float((weights.sum(1) * torch.arange(256)).sum())
    seen_x = float((weights.sum(0) * torch.arange(256)).sum())
    assert fit.to_model(x, y) == pytest.approx((seen_x, seen_y), abs=0.75)


@pytest.mark.parametrize("mode", ["squash", "pad"])
@pytest.mark.parametrize(("rows", "columns"), [(300, 500), (500, 300)])
def test_logits_come_back_to_the_picture(mode, rows, columns):
    fit = Fit(rows, columns, 256, mode)
    picture = torch.zeros(1, rows, columns)
    picture[0, 100:200, 60:180] = 1
    logits = fit.cells(picture[0], 64)[None] * 2 - 1
    back = fit.picture(logits)[0] > 0
    assert back.shape == (rows, columns)
    truth = picture[0] > 0
    assert (back & truth).sum() / (back | truth).sum() > 0.94
