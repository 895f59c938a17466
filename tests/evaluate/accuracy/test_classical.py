"""The methods without a network are given a fair chance: what a person knows of a prompt, they know too."""

import numpy as np
import pytest

from uniultra.evaluate.accuracy.classical import grabcut, random_walker
from uniultra.metrics.overlap import dice
from uniultra.prompts.simulation.clicks_boxes import tight_box
from uniultra.prompts.types import MaskPrompt, Point, PromptSet

METHODS = (grabcut, random_walker)


@pytest.fixture(scope="module", autouse=True)
def needs_opencv():
    pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def vessel():
    """A dark lumen in speckled tissue, beside black that belongs to no organ; and its mask."""
    ys, xs = np.mgrid[:200, :300]
    lumen = ((ys - 90) / 30) ** 2 + ((xs - 140) / 50) ** 2 <= 1
    grey = np.where(lumen, 12.0, 110.0) * np.random.default_rng(3).rayleigh(0.8, lumen.shape)
    grey[:, 240:] = 0
    return np.clip(grey, 0, 255).astype(np.uint8), lumen


@pytest.mark.parametrize("method", METHODS)
def test_a_box_finds_what_is_as_dark_as_the_rest_of_the_picture(method, vessel):
    picture, lumen = vessel
    assert dice(method(picture, PromptSet(box=tight_box(lumen))), lumen) > 0.93


@pytest.mark.parametrize("method", METHODS)
def test_clicks_are_certain(method, vessel):
    picture, _ = vessel
    hit, missed = Point(140, 90), Point(140, 20, False)
    found = method(picture, PromptSet(points=(hit, missed)))
    assert found[90, 140] and not found[20, 140]
    assert not method(picture, PromptSet(points=(missed,))).any()  # says nothing of where the object is


def test_grabcut_goes_on_from_its_last_answer(vessel):
    picture, lumen = vessel
    ask = {"points": (Point(140, 90),)}
    begun = dice(grabcut(picture, PromptSet(**ask)), lumen)
    refined = dice(grabcut(picture, PromptSet(**ask, mask=MaskPrompt(lumen))), lumen)
    assert refined > max(begun, 0.9)
