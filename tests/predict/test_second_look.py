"""Small objects are looked at twice; where there is nothing to gain, once."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from noise_source import Noise

from uniultra.images.types import Plane
from uniultra.metrics.overlap import dice
from uniultra.models import entry
from uniultra.predict import Predictor, second_look
from uniultra.prompts import Box, Lasso, MaskPrompt, Point, PromptSet, Scribble
from uniultra.weights.loading import load

SIDE = 640
PLANE = Plane("k", 0)


def disc(x: float, y: float, radius: float):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return (columns - x) ** 2 + (rows - y) ** 2 < radius**2


SMALL, LARGE = disc(410, 190, 17), disc(300, 320, 210)


class Discs(Noise):
    """Two dark discs of 17 and 110 pixels' radius in grey noise."""

    def __init__(self):
        super().__init__("discs", shape=(1, SIDE, SIDE))

    def picture(self, plane):
        super().picture(plane)
        noise = np.random.default_rng(1).normal(120, 14, (SIDE, SIDE))
        noise[SMALL | disc(200, 450, 110)] -= 70
        return noise.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def answer():
    network, _ = load("uniultra_mini")
    mini = entry("uniultra_mini")
    assert mini.closer

    def ask(*prompts, twice=True, source=None):
        made = Predictor.of(network, replace(mini, closer=twice), device="cpu")
        return made.predict(source or Discs(), PLANE, prompts)

    return ask


CLICK = PromptSet(points=(Point(410, 190),))
BOX = PromptSet(box=Box(393, 173, 427, 207))


@pytest.mark.parametrize("prompts", [CLICK, BOX], ids=["click", "box"])
def test_a_small_object_is_drawn_better(answer, prompts):
    [once], [twice] = answer(prompts, twice=False), answer(prompts)
    assert dice(twice.mask, SMALL) > dice(once.mask, SMALL) + 0.01
    assert dice(twice.mask, SMALL) > 0.85


def test_a_large_one_is_the_same(answer):
    prompts = PromptSet(box=Box(90, 110, 510, 530))
    [once], [twice] = answer(prompts, twice=False), answer(prompts)
    assert np.array_equal(once.mask, twice.mask) and once.score == twice.score


def test_an_answer_does_not_depend_on_what_else_was_asked(answer):
    both = answer(CLICK, BOX)
    for together, alone in zip(both, (*answer(CLICK), *answer(BOX)), strict=True):
        assert np.array_equal(together.mask, alone.mask) and together.score == alone.score


def test_the_next_click_on_an_object_finds_its_window_encoded():
    predictor, source = Predictor("uniultra_mini", device="cpu"), Discs()
    predictor.predict(source, PLANE, [CLICK])
    assert (len(source.readers), len(predictor.cache)) == (1, 2)
    predictor.predict(source, PLANE, [CLICK])
    assert (len(source.readers), len(predictor.cache)) == (1, 2)


def test_a_file_is_never_read_where_other_clicks_wait():
    predictor, source = Predictor("uniultra_mini", device="cpu"), Discs()
    assert predictor.prefetch(source, PLANE)
    predictor.predict(source, PLANE, [CLICK])  # the plane is encoded, the window around the disc is not
    assert source.readers == [threading.current_thread()] * 2


@pytest.mark.parametrize(
    "prompts",
    [
        CLICK,
        BOX,
        PromptSet(lasso=Lasso(((400, 180), (420, 180), (410, 210)))),
        PromptSet(mask=MaskPrompt(SMALL)),
    ],
    ids=["click", "box", "lasso", "mask"],
)
def test_the_window_lies_around_the_object_on_a_grid(prompts):
    window, _ = second_look.look(SMALL, prompts)
    inside = np.zeros_like(SMALL)
    inside[window.slices] = True
    assert inside[SMALL].all() and inside.mean() < 0.2
    assert all(edge % (SIDE // second_look.GRID) == 0 for edge in window)
    # As much of its surroundings on each side as it is wide.
    assert window.left <= 393 - 34 and window.right > 427 + 34


def test_a_click_that_the_answer_missed_is_in_the_window_too():
    missed = PromptSet(points=(Point(410, 190), Point(560, 190), Point(20, 600, positive=False)))
    window, near = second_look.look(SMALL, missed)
    assert window.left <= 410 and window.right > 560
    assert len(near.points) == 2


def test_every_prompt_keeps_its_place():
    stroke = disc(405, 188, 4)
    given = PromptSet(
        points=(Point(412.5, 180.0), Point(420, 200, positive=False)),
        box=Box(393, 173, 427, 207),
        scribbles=(Scribble(stroke), Scribble(disc(430, 190, 3), positive=False)),
        lasso=Lasso(((400, 180), (420, 180), (410, 639))),
        mask=MaskPrompt(SMALL),
    )
    window, near = second_look.look(SMALL, given)
    near.check(window.shape)
    at = window.left, window.top
    assert [(p.x + at[0], p.y + at[1], p.positive) for p in near.points] == [
        (412.5, 180.0, True),
        (420.0, 200.0, False),
    ]
    assert (near.box.x0 + at[0], near.box.y1 + at[1]) == (393, 207)
    assert [s.positive for s in near.scribbles] == [True, False]
    assert np.array_equal(near.scribbles[0].pixels, stroke[window.slices])
    assert np.array_equal(near.mask.mask, SMALL[window.slices])
    assert near.lasso.polygon[0] == (400 - at[0], 180 - at[1])
    assert near.lasso.polygon[2] == (410 - at[0], window.shape[0] - 1)


@pytest.mark.parametrize("mask", [np.zeros((SIDE, SIDE), bool), LARGE], ids=["nothing", "large"])
def test_nothing_and_large_objects_are_looked_at_once(mask):
    assert second_look.look(mask, PromptSet(points=(Point(300, 320),))) is None


def test_an_answer_far_from_its_only_prompt_is_looked_at_once():
    assert second_look.look(SMALL, PromptSet(scribbles=(Scribble(disc(50, 600, 5)),))) is None


def test_corners_of_the_picture():
    corner = np.zeros((SIDE, SIDE), bool)
    corner[-6:, -6:] = True
    window, near = second_look.look(corner, PromptSet(points=(Point(SIDE - 0.6, SIDE - 0.6),)))
    near.check(window.shape)
    assert (window.bottom, window.right) == (SIDE, SIDE)
