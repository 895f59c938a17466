"""Corrections go where the benchmark and people click, and a lasso goes around its target."""

import numpy as np
import pytest

from uniultra.metrics.interactive import next_click
from uniultra.metrics.overlap import iou
from uniultra.prompts.kinds import lasso_mask
from uniultra.prompts.simulation.annotator import EVERY, KINDS, first_prompt
from uniultra.prompts.simulation.corrections import coarse_depth, corrected, error_click
from uniultra.prompts.simulation.lasso import random_lasso
from uniultra.prompts.simulation.protocols import PROTOCOLS
from uniultra.prompts.types import MaskPrompt, Point, PromptSet


@pytest.fixture
def target():
    mask = np.zeros((96, 80), bool)
    mask[20:60, 20:60] = True
    return mask


@pytest.fixture
def predicted(target):
    """A strip of 12 columns missed, a larger but thinner line and a speck too much."""
    mask = target.copy()
    mask[:, 48:] = False
    mask[70:74, :] = True
    mask[5, 5] = True
    return mask


def test_most_clicks_lie_exactly_where_the_number_of_clicks_is_measured(target, predicted, rng):
    wanted = next_click(predicted, target)
    clicks = [error_click(predicted, target, rng) for _ in range(300)]
    exact = sum(click == wanted for click in clicks)
    deep = sum(48 <= click.x < 60 and 23 <= click.y < 57 and click.positive for click in clicks)
    assert 170 < exact < 230
    assert 250 < deep < 295  # some elsewhere: annotators differ
    for click in clicks:
        y, x = int(click.y), int(click.x)
        assert target[y, x] != predicted[y, x] and target[y, x] == click.positive
    assert any(not click.positive for click in clicks)


def test_no_pixel_is_clicked_twice_and_a_right_answer_not_at_all(target, predicted, rng):
    first = next_click(predicted, target)
    assert all(error_click(predicted, target, rng, [first]) != first for _ in range(60))
    assert error_click(target, target, rng) is None
    speck = target.copy()
    speck[5, 5] = True
    assert error_click(speck, target, rng) == Point(5, 5, False)
    assert error_click(speck, target, rng, [Point(5, 5, False)]) is None


def test_the_depth_of_a_large_region_is_measured_on_a_grid(rng):
    rows, columns = np.ogrid[:256, :256]
    disk = np.hypot(rows - 120, columns - 131) < 90
    found = coarse_depth(disk)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert np.hypot(row - 120, column - 131) <= 2 and found.max() == pytest.approx(90, abs=2)
    assert not found[~disk].any()
    thin = np.zeros((256, 256), bool)
    thin[101, 3:250] = True  # only between the grid's rows
    assert (coarse_depth(thin) > 0).sum() == 247


def test_an_answer_becomes_the_mask_to_refine(target, predicted, rng):
    start = PromptSet(points=(Point(30, 30),), mask=MaskPrompt(target))
    after = corrected(start, predicted, target, rng)
    assert len(after.points) == 2 and np.array_equal(after.mask.mask, predicted)
    assert corrected(start, target, target, rng).points == start.points
    assert corrected(start, np.zeros_like(target), target, rng).mask is None


def test_a_lasso_is_drawn_loosely_around_its_target(rng):
    rows, columns = np.ogrid[:200, :160]
    angle = np.arctan2(rows - 90, columns - 70)
    blob = np.hypot((rows - 90) / 1.4, columns - 70) < 30 * (1 + 0.25 * np.sin(3 * angle))
    covered, agree, corners = [], [], []
    for _ in range(25):
        lasso = random_lasso(blob, rng)
        PromptSet(lasso=lasso).check(blob.shape)
        inside = lasso_mask(lasso, blob.shape)
        covered.append((inside & blob).sum() / blob.sum())
        agree.append(iou(inside, blob))
        corners.append(len(lasso.polygon))
    assert min(covered) > 0.75 and np.median(covered) > 0.97
    assert min(agree) > 0.45 and 0.65 < np.median(agree) < 0.92 and np.ptp(agree) > 0.1
    assert 6 <= np.median(corners) < 60


@pytest.mark.parametrize("place", [np.s_[0:3, 0:3], np.s_[30:31, 5:40], np.s_[:, :], np.s_[39, 39]])
def test_any_target_can_be_lassoed(place, rng):
    target = np.zeros((40, 40), bool)
    target[place] = True
    for _ in range(20):
        lasso = random_lasso(target, rng)
        PromptSet(lasso=lasso).check(target.shape)


def test_a_lasso_takes_the_largest_of_several_outlines(rng):
    ring = np.zeros((80, 80), bool)
    ring[10:70, 10:70] = True
    ring[25:55, 25:55] = False
    inside = lasso_mask(random_lasso(ring, rng), ring.shape)
    assert inside[40, 40] and inside[20, 20]


def test_the_interactive_annotator_gives_every_kind_and_keeps_correcting(target, rng):
    protocol = PROTOCOLS["interactive"]
    seen = {"lone": 0, "box": 0, "lasso": 0, "scribbles": 0, "mask": 0}
    for _ in range(300):
        prompts = protocol.first(target, target, rng)
        prompts.check(target.shape)
        seen["lone"] += prompts.lone_click
        for kind in ("box", "lasso", "scribbles", "mask"):
            seen[kind] += bool(getattr(prompts, kind))
    assert all(seen.values()) and 90 < seen["lone"] < 160 and 20 < seen["lasso"] < 60
    answer = target
    for turn in range(1, 9):
        answer = np.roll(answer, 3, turn % 2)
        prompts = protocol.next(prompts, answer, target, rng, turn)
    assert len(prompts.points) >= 8


def test_the_hasty_annotator_draws_no_lasso(target, rng):
    assert len(EVERY) == len(KINDS)
    assert not any(first_prompt(target, target, rng).lasso for _ in range(200))
