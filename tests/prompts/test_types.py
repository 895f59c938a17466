"""Prompts refuse what cannot be meant, and say what was expected."""

import numpy as np
import pytest

from uniultra.errors import PromptError
from uniultra.prompts import Box, Lasso, MaskPrompt, Point, PromptSet, Scribble


def test_box_corners_in_any_order():
    assert Box(9, 8, 1, 2) == Box(1, 2, 9, 8)


def test_an_empty_set_is_refused():
    with pytest.raises(PromptError, match="at least one"):
        PromptSet(scribbles=(Scribble(np.zeros((4, 4), bool)),)).check((4, 4))


@pytest.mark.parametrize(("x", "y"), [(-0.6, 0), (0, 9.5), (20, 0), (float("nan"), 1), (float("inf"), 1)])
def test_a_point_outside_names_the_size(x, y):
    with pytest.raises(PromptError, match="20 x 10"):
        PromptSet(points=(Point(x, y),)).check((10, 20))


def test_the_border_pixels_are_inside():
    PromptSet(points=(Point(-0.5, -0.5), Point(19.4, 9.4))).check((10, 20))


@pytest.mark.parametrize(
    "prompts",
    [
        PromptSet(box=Box(0, 0, 20, 5)),
        PromptSet(lasso=Lasso(((0, 0), (5, 0), (5, 30)))),
        PromptSet(mask=MaskPrompt(np.ones((20, 10), bool))),
        PromptSet(scribbles=(Scribble(np.ones((3, 3), bool)),)),
    ],
)
def test_every_kind_is_checked_against_the_picture(prompts):
    with pytest.raises(PromptError):
        prompts.check((10, 20))


def test_a_lasso_needs_three_corners():
    with pytest.raises(PromptError, match="3 corners"):
        Lasso(((0, 0), (1, 1)))


def test_a_lone_click_is_one_positive_click_and_nothing_else():
    click = Point(3, 4)
    nothing = Scribble(np.zeros((9, 9), bool))
    assert (
        PromptSet(points=(click,)).lone_click and PromptSet(points=(click,), scribbles=(nothing,)).lone_click
    )
    for other in (
        PromptSet(),
        PromptSet(points=(Point(3, 4, positive=False),)),
        PromptSet(points=(click, click)),
        PromptSet(points=(click,), box=Box(1, 1, 5, 5)),
        PromptSet(points=(click,), mask=MaskPrompt(np.ones((9, 9), bool))),
        PromptSet(points=(click,), lasso=Lasso(((0, 0), (5, 0), (5, 3)))),
        PromptSet(points=(click,), scribbles=(Scribble(np.ones((9, 9), bool)),)),
    ):
        assert not other.lone_click
