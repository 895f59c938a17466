"""Specks and pinholes are removed, unless a prompt lies on them."""

import numpy as np
import pytest

from uniultra.predict.postprocess import tidy
from uniultra.prompts.types import MaskPrompt, Point, PromptSet, Scribble


@pytest.fixture
def disc():
    """A disc with a speck at (55, 5), a pinhole at (30, 30), and a large part at (8, 50)."""
    rows, columns = np.mgrid[:60, :60]
    mask = (rows - 30) ** 2 + (columns - 30) ** 2 < 15**2
    mask[5:7, 55:57] = True
    mask[29:32, 29:32] = False
    mask[45:56, 3:14] = True
    return mask


CLICK = Point(25.0, 22.0)


def test_small_things_go_and_large_ones_stay(disc):
    found = tidy(disc, PromptSet(points=(CLICK,)))
    assert not found[5, 55] and found[30, 30] and found[50, 8]
    assert np.count_nonzero(found != disc) == 4 + 9


@pytest.mark.parametrize("way", ["click", "scribble"])
def test_prompted_specks_and_holes_stay(disc, way):
    if way == "click":
        found = tidy(disc, PromptSet(points=(CLICK, Point(55.4, 5.3), Point(30, 30, positive=False))))
    else:
        on, off = np.zeros((2, 60, 60), bool)
        on[6, 56], off[29, 29] = True, True
        found = tidy(disc, PromptSet(scribbles=(Scribble(on), Scribble(off, positive=False))))
    assert np.array_equal(found, disc)


def test_a_painted_mask_keeps_its_specks_and_pinholes(disc):
    assert np.array_equal(tidy(disc, PromptSet(mask=MaskPrompt(disc))), disc)


def test_a_bay_at_the_border_is_no_hole():
    mask = np.ones((20, 20), bool)
    mask[0, 5:8] = False
    assert np.array_equal(tidy(mask, PromptSet(points=(Point(10, 10),))), mask)


@pytest.mark.parametrize("value", [False, True])
def test_nothing_and_everything(value):
    mask = np.full((9, 7), value)
    assert np.array_equal(tidy(mask, PromptSet(points=(Point(3, 3),))), mask)


def test_corners_of_the_picture_can_be_clicked(disc):
    ends = (Point(-0.5, -0.5), Point(59.4, 59.4, positive=False))
    assert tidy(disc, PromptSet(points=ends)).shape == disc.shape
