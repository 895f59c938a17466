"""Distances between borders, against all pairs of border pixels and against shapes whose answer is known."""

import math

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist

from uniultra.errors import ImageError
from uniultra.metrics.surface import average_distance, hd95, surface_dice


def border(mask, spacing):
    """Border pixels in mm: those that a cross-shaped erosion takes, outside the picture being outside."""
    inner = ndimage.binary_erosion(np.pad(mask, 1))[1:-1, 1:-1]
    return np.argwhere(mask & ~inner) * np.asarray(spacing)


def directed(first, second, spacing):
    pairs = cdist(border(first, spacing), border(second, spacing))
    return pairs.min(1), pairs.min(0)


def blob(seed, shape=(40, 55)):
    rng = np.random.default_rng(seed)
    return ndimage.gaussian_filter(rng.normal(size=shape), 4) > 0.01


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [None, (0.3, 0.3), (0.2, 0.7)])
def test_equals_brute_force_on_random_blobs(seed, spacing):
    first, second = blob(seed), blob(seed + 100)
    there, back = directed(first, second, spacing or (1, 1))
    expected = max(np.percentile(there, 95), np.percentile(back, 95))
    assert hd95(first, second, spacing) == pytest.approx(expected, rel=1e-5)
    both = np.concatenate([there, back])
    assert average_distance(first, second, spacing) == pytest.approx(both.mean(), rel=1e-5)
    tolerance = 2.3 * (spacing or (1, 1))[0]  # between the distances there are, so that rounding says nothing
    near = np.mean(both <= tolerance)
    assert surface_dice(first, second, tolerance, spacing) == pytest.approx(near, abs=1e-5)


def test_a_shift_is_its_length_in_pixels_and_millimetres():
    square = np.zeros((80, 90), bool)
    square[20:41, 30:51] = True
    moved = np.roll(square, 7, axis=1)
    assert hd95(square, moved) == 7
    assert hd95(square, moved, (0.1, 0.5)) == pytest.approx(3.5)
    assert hd95(square, moved, (0.5, 0.1)) == pytest.approx(0.7)
    assert hd95(square, square) == 0 and surface_dice(square, square, 0) == 1


def test_the_distance_is_euclidean_and_leaves_out_the_farthest_twentieth():
    point, far = np.zeros((2, 60, 60), bool)
    point[10, 10] = far[13, 14] = True
    assert hd95(point, far) == pytest.approx(5)  # 7 by Manhattan
    line = np.zeros((60, 60), bool)
    line[5, :50] = True
    spoilt = line.copy()
    spoilt[40, 30] = True  # one pixel of 51, 35 away
    assert hd95(spoilt, line) == 0
    assert average_distance(spoilt, line) == pytest.approx(35 / 101)


def test_a_mask_at_the_edge_of_the_picture_has_a_border_there():
    whole, part = np.ones((2, 20, 30), bool)
    part[:, 25:] = False
    there, back = directed(whole, part, (1, 1))
    assert hd95(whole, part) == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    assert hd95(whole, part) == 5


def test_empty_masks_follow_the_written_rule():
    empty, full = np.zeros((8, 8), bool), np.ones((8, 8), bool)
    assert hd95(empty, empty) == average_distance(empty, empty) == 0
    assert surface_dice(empty, empty, 1) == 1
    for pair in ((empty, full), (full, empty)):
        assert math.isnan(hd95(*pair)) and math.isnan(average_distance(*pair))
        assert surface_dice(*pair, 1) == 0


def test_other_sizes_and_spacings_are_refused():
    with pytest.raises(ImageError, match=r"\(8, 8\).*\(8, 9\)"):
        hd95(np.ones((8, 8), bool), np.ones((8, 9), bool))
    for spacing in ((0.0, 1.0), (math.nan, 1.0)):
        with pytest.raises(ImageError, match="above 0"):
            hd95(np.ones((8, 8), bool), np.ones((8, 8), bool), spacing)
