"""Each protocol prompts as its paper does, in training and in tests."""

from dataclasses import replace

import numpy as np
import pytest

from uniultra.prompts.simulation.annotator import correction, first_prompt
from uniultra.prompts.simulation.clicks_boxes import tight_box
from uniultra.prompts.simulation.protocols import PROTOCOLS, Med2d
from uniultra.prompts.types import Box, PromptSet


@pytest.fixture
def target():
    mask = np.zeros((64, 80), bool)
    mask[20:40, 30:52] = True
    return mask


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_same_numbers_give_the_same_prompts_and_all_lie_on_the_picture(name, target):
    protocol = PROTOCOLS[name]

    def play(seed):
        rng = np.random.default_rng(seed)
        said = [protocol.first(target, target, rng)]
        for turn in range(1, protocol.turns):
            said.append(protocol.next(said[-1], np.roll(target, turn, 1), target, rng, turn))
        return said

    first, again = play(3), play(3)
    for a, b in zip(first, again, strict=True):
        assert a.points == b.points and a.box == b.box
        assert (a.mask is None) == (b.mask is None)
        if name != "none":
            a.check(target.shape)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_an_empty_target_never_gets_a_positive_prompt(name, rng):
    empty = np.zeros((32, 32), bool)
    prompts = PROTOCOLS[name].first(empty, empty, rng)
    assert prompts.box is None and not any(p.positive for p in prompts.points)
    more = PROTOCOLS[name].next(prompts, np.eye(32, dtype=bool), empty, rng, 1)
    assert not any(p.positive for p in more.points)
    assert all(prompt == PromptSet() for prompt in PROTOCOLS[name].test(empty))


def test_uniultra_gives_the_tight_box_and_never_corrects(target, rng):
    protocol = PROTOCOLS["uniultra"]
    assert protocol.turns == 1
    prompts = protocol.first(target, target, rng)
    assert prompts == PromptSet(box=Box(30, 20, 51, 39))
    assert protocol.next(prompts, ~target, target, rng, 1) == prompts


def test_uniultra_tests_with_one_box_for_each_8_connected_component(target):
    target[40, 52] = True  # touches by a corner: still the same component
    target[60, 70] = True
    boxes = [prompts.box for prompts in PROTOCOLS["uniultra"].test(target)]
    assert boxes == [Box(30, 20, 52, 40), Box(70, 60, 70, 60)]


def test_samus_trains_on_any_pixel_and_tests_on_the_middle_one_of_the_list(target, rng):
    protocol = PROTOCOLS["samus"]
    seen = {protocol.first(target, target, rng).points[0] for _ in range(300)}
    assert len(seen) > 150 and all(target[int(p.y), int(p.x)] and p.positive for p in seen)
    # The border is as probable as the inside: 80 of 440 pixels.
    border = sum(p.x in (30, 51) or p.y in (20, 39) for p in seen)
    assert 0.1 < border / len(seen) < 0.3
    [prompts] = protocol.test(target)
    middle = list(zip(*np.nonzero(target), strict=True))[440 // 2]
    assert (prompts.points[0].y, prompts.points[0].x) == middle


def test_a_lone_click_lies_where_it_means_the_target(target, rng):
    part = target.copy()
    part[:, 33:] = False
    for name in ("samus", "med2d", "corrected"):
        for _ in range(40):
            prompts = PROTOCOLS[name].first(target, part, rng)
            if len(prompts.points) == 1 and not prompts.box:
                assert part[int(prompts.points[0].y), int(prompts.points[0].x)]


def test_med2d_shifts_both_corners_alike_by_at_most_five_pixels_of_256(rng):
    mask = np.zeros((256, 200), bool)
    mask[100:140, 80:150] = True
    tight = tight_box(mask)
    moves = set()
    for _ in range(400):
        box = PROTOCOLS["med2d"].first(mask, mask, rng).box
        if box:
            assert (box.x1 - box.x0, box.y1 - box.y0) == (69, 39)
            moves |= {box.x0 - tight.x0, box.y0 - tight.y0}
    assert moves == set(range(-5, 6))


def test_med2d_begins_with_a_box_or_a_point_equally_often(target, rng):
    kinds = [PROTOCOLS["med2d"].first(target, target, rng) for _ in range(400)]
    boxes = sum(prompts.box is not None for prompts in kinds)
    assert 160 < boxes < 240
    assert all(len(prompts.points) == (prompts.box is None) for prompts in kinds)


def test_med2d_asks_with_error_points_and_twice_with_the_mask_alone(target, rng):
    protocol = PROTOCOLS["med2d"]
    predicted = np.roll(target, 6, 1)
    numbers, lone = set(), []
    for _ in range(30):
        prompts = protocol.first(target, target, rng)
        alone = []
        for turn in range(1, protocol.turns):
            prompts = protocol.next(prompts, predicted, target, rng, turn)
            assert prompts.box is None and np.array_equal(prompts.mask.mask, predicted)
            if not prompts.points:
                alone.append(turn)
                continue
            numbers.add(len(prompts.points))
            for point in prompts.points:
                y, x = int(point.y), int(point.x)
                assert (predicted ^ target)[y, x] and target[y, x] == point.positive
        lone.append(alone)
    assert protocol.turns == 9 and numbers == {1, 3, 5, 9}
    assert all(len(alone) == 2 and alone[-1] == 8 for alone in lone)
    places = set()
    for extra in range(7):
        mask = target.copy()
        mask[0, :extra] = True
        places |= {t for t in range(1, 8) if not protocol.next(prompts, predicted, mask, rng, t).points}
    assert places == set(range(1, 8))  # the mask-only turn in between can be any


def test_med2d_has_something_to_say_to_a_perfect_or_empty_answer(target, rng):
    right = Med2d().next(PromptSet(), target, target, rng, 2 if target.sum() % 7 != 1 else 3)
    assert all(target[int(p.y), int(p.x)] and p.positive for p in right.points)
    nothing = Med2d().next(PromptSet(), np.zeros_like(target), target, rng, 8)
    assert nothing.mask is None and nothing.points


def test_fewer_turns_still_end_with_the_mask_alone(target, rng):
    short = replace(PROTOCOLS["med2d"], turns=3)
    assert not short.next(PromptSet(), np.roll(target, 5, 0), target, rng, 2).points


def test_corrections_click_into_the_error(target, rng):
    for _ in range(40):
        prompts = first_prompt(target, target, rng)
        refined = correction(prompts, np.roll(target, 9, 0), target, rng)
        assert len(refined.points) == len(prompts.points) + 1
        last = refined.points[-1]
        assert target[int(last.y), int(last.x)] == last.positive


def test_no_prompt_is_no_prompt(target, rng):
    assert not PROTOCOLS["none"].first(target, target, rng)
    assert PROTOCOLS["none"].test(target) == [PromptSet()]
