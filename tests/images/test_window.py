"""The mapping of deep pixels to 8 bits."""

from __future__ import annotations

import numpy as np
import pytest

from uniultra.images.window import Window, percentile_window


def test_hot_pixels_do_not_darken_the_rest():
    frame = np.tile(np.linspace(0, 1000, 400), (100, 1))
    frame[0, :5] = 60000
    window = percentile_window(lambda t: frame, 1)
    assert window.low == pytest.approx(0, abs=5) and window.high == pytest.approx(1000, abs=5)


def test_the_last_frame_counts_as_much_as_the_first():
    for bright in (0, 99):
        window = percentile_window(lambda t, b=bright: np.full((50, 50), 9.0 if t == b else t / 100), 100)
        assert window.high == 9.0


@pytest.mark.parametrize("value", [0, 7, -3, np.nan, np.inf])
def test_flat_pictures(value):
    frame = np.full((8, 8), float(value))
    picture = percentile_window(lambda t: frame, 3).apply(frame)
    assert picture.dtype == np.uint8 and (picture == picture[0, 0]).all()


def test_values_outside_are_clipped_and_what_is_no_number_is_black():
    values = np.array([-np.inf, np.nan, -5, 0, 60, 100, 1e9, np.inf])
    assert Window(0, 100).apply(values).tolist() == [0, 0, 0, 0, 153, 255, 255, 255]
