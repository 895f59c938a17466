"""The clicks of the NoC protocol go where it says, and are counted as it says."""

import numpy as np
import pytest

from uniultra.errors import PromptError
from uniultra.metrics.interactive import MAX_CLICKS, click_until, clicks_needed, failed, next_click
from uniultra.metrics.overlap import iou

SHAPE = (60, 80)


def rectangle(rows, columns):
    mask = np.zeros(SHAPE, bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


def scripted(*masks):
    """Answers with the masks in order (the last again and again), and keeps what it was asked."""
    asked = []

    def ask(prompts):
        asked.append(prompts)
        return masks[min(len(asked), len(masks)) - 1]

    return ask, asked


def test_the_first_click_is_in_the_middle_and_the_second_in_the_deeper_error():
    truth = rectangle((10, 31), (10, 31))
    surplus = truth | rectangle((40, 55), (40, 75))  # 15 deep
    missing = truth & ~rectangle((10, 31), (24, 31))  # 7 deep
    ask, asked = scripted((surplus & ~rectangle((10, 31), (24, 31))), missing, truth)
    run = click_until(ask, truth)
    first, second, third = run.points
    assert (first.x, first.y, first.positive) == (20, 20, True)
    assert not second.positive and second.y == 47  # in the middle of the surplus
    assert third.positive and third.x == 27
    assert run.ious[-1] == 1 and len(run.ious) == 3  # nothing is wrong any more
    assert [len(p.points) for p in asked] == [1, 2, 3]
    assert asked[0].mask is None and asked[2].mask.mask is missing


def test_depth_decides_and_not_area():
    truth = rectangle((5, 20), (5, 20))
    predicted = rectangle((40, 44), (0, 80))  # 320 pixels but 4 deep, against 225 and 15
    assert next_click(predicted, truth).positive
    assert (predicted & ~truth).sum() > (truth & ~predicted).sum()


def test_equally_deep_regions_get_a_negative_click():
    truth, predicted = rectangle((5, 16), (5, 16)), rectangle((30, 41), (30, 41))
    assert not next_click(predicted, truth).positive
    assert next_click(truth, truth) is None


def test_the_edge_of_the_picture_is_a_border():
    click = next_click(np.zeros(SHAPE, bool), rectangle((0, 60), (0, 21)))
    assert click.x == 10


def test_no_pixel_is_clicked_twice_when_the_answer_never_changes():
    truth = rectangle((20, 25), (20, 25))
    ask, _ = scripted(np.zeros(SHAPE, bool))
    run = click_until(ask, truth)
    assert len(run.points) == MAX_CLICKS == len({(p.x, p.y) for p in run.points})
    assert all(truth[int(p.y), int(p.x)] for p in run.points)
    assert run.ious == (0.0,) * 20


def test_a_run_ends_when_every_wrong_pixel_has_been_clicked():
    truth = rectangle((20, 21), (20, 23))
    ask, _ = scripted(np.zeros(SHAPE, bool))
    run = click_until(ask, truth)
    assert len(run.points) == 3
    assert clicks_needed(run.ious, 0.85) == 20 and failed(run.ious, 0.85)
    assert not run.mask_at(20).any()


def test_counting_clicks_and_failures():
    ious = (0.5, 0.84, 0.85, 0.95)
    assert clicks_needed(ious, 0.85) == 3  # reaching it is enough
    assert clicks_needed(ious, 0.9) == 4
    assert clicks_needed(ious, 0.96) == MAX_CLICKS and failed(ious, 0.96)
    late = (0.1,) * 19 + (0.9,)
    # The strict count: exactly at the last click is reached, and still costs 20.
    assert clicks_needed(late, 0.9) == 20 and not failed(late, 0.9)
    assert clicks_needed((0.1,) * 20 + (0.9,), 0.9) == 20 and failed((0.1,) * 20 + (0.9,), 0.9)


def test_stopping_at_a_threshold_waits_for_the_clicks_that_are_wanted():
    truth = rectangle((10, 40), (10, 40))
    nearly = truth & ~rectangle((10, 11), (10, 12))
    assert 0.95 < iou(nearly, truth) < 1
    assert len(click_until(scripted(nearly)[0], truth, until=0.9).ious) == 1
    run = click_until(scripted(nearly)[0], truth, until=0.9, at_least=2)
    assert len(run.ious) == 2
    assert run.mask_at(1) is run.mask_at(5) is nearly


def test_without_refining_no_mask_is_given():
    truth = rectangle((10, 40), (10, 40))
    ask, asked = scripted(rectangle((10, 30), (10, 40)))
    click_until(ask, truth, clicks=3, refine=False)
    assert [p.mask for p in asked] == [None] * 3


def test_the_click_equals_a_search_of_every_pixel():
    rng = np.random.default_rng(3)
    truth, predicted = rng.random((2, 20, 24)) < 0.6
    free = rng.random((20, 24)) < 0.7
    best = {}
    for positive, region in ((True, truth & ~predicted), (False, predicted & ~truth)):
        outside = np.argwhere(~np.pad(region, 1)) - 1
        inside = np.argwhere(region & free)
        depth = np.sqrt(((inside[:, None] - outside[None]) ** 2).sum(-1)).min(1)
        best[positive] = (depth.max(), {tuple(p) for p in inside[np.isclose(depth, depth.max())]})
    click = next_click(predicted, truth, free)
    assert click.positive == (best[True][0] > best[False][0])
    assert (int(click.y), int(click.x)) in best[click.positive][1]


def test_nothing_to_click_on_is_refused():
    with pytest.raises(PromptError, match="empty"):
        click_until(scripted(np.zeros(SHAPE, bool))[0], np.zeros(SHAPE, bool))
    with pytest.raises(PromptError, match="click"):
        click_until(scripted(np.zeros(SHAPE, bool))[0], np.ones(SHAPE, bool), clicks=0)
