"""What every picture is asked, and what is made of the answers."""

import numpy as np
import pytest
from benchmark_cases import KINDS, disk, inscribed, square

from uniultra.evaluate.accuracy.comparisons import set_score
from uniultra.evaluate.scoring import score
from uniultra.evaluate.summaries import by_set
from uniultra.metrics.overlap import dice, ellipse_in
from uniultra.metrics.surface import average_distance, hd95
from uniultra.prompts.simulation.clicks_boxes import center_click, shaky_click, tight_box


@pytest.fixture
def scores(rows, scripted, rule):
    """Scores of a scripted system on the first `count` pictures, or on all."""

    def make(change=lambda prompts, truth: truth, prompts=KINDS, count=None, **more):
        system = scripted(change, prompts=prompts)
        return score(system.answers, rows[:count], system.prompts, rule, **more)

    return make


def empty(prompts, truth):
    return np.zeros_like(truth)


def test_a_perfect_system_needs_one_click(scores):
    sets = {name: set_score(some, ["known"]) for name, some in by_set(scores()).items()}
    assert (sets["known"].n, sets["known"].n_empty, sets["known"].seen) == (3, 1, True)
    assert sets["strange"].seen is False
    for name in ("known", "strange"):
        means = sets[name].means
        for key in ("dice@1", "dice@2", "dice@3", "dice@5", "dice@10"):
            assert means[key] == 1
        assert means["dice_box"] == means["dice_box_noisy"] == means["dice_scribble"] == 1
        assert [means[f"noc{n}"] for n in (80, 85, 90)] == [1, 1, 1]
        assert [means[f"nof{n}"] for n in (80, 85, 90)] == [0, 0, 0]
        assert means["hd95_px"] == means["assd_px"] == means["hd95_px@1"] == 0
        assert sets[name].intervals["dice_box"] == (1, 1)
    assert "hd95_mm" in sets["known"].means and "hd95_mm" not in sets["strange"].means


def test_the_ellipse_in_the_box_is_the_row_of_that_name(scores):
    labelled = [one for one in scores(inscribed, ("box",)) if one.values]
    assert len(labelled) == 6
    for one in labelled:
        overlap = "nsd" if one.dataset == "dltrack_fascicle" else "dice"
        ellipse = "ellipse_box" if overlap == "dice" else "nsd_ellipse_box"
        assert one.values[f"{overlap}_box"] == one.values[ellipse]
        assert len(one.repeated[f"{overlap}_box_noisy"]) == 3
        assert f"{overlap}@1" not in one.values and one.ious == ()


def test_distances_are_of_the_largest_component_in_px_and_mm(scores):
    truth, given = disk(20, 30, 12), disk(22, 30, 12)
    [first] = scores(lambda *_: given, ("box",), 1)
    assert first.values["dice_box"] == pytest.approx(dice(given, truth), abs=1e-6)
    assert first.values["hd95_px"] == pytest.approx(hd95(given, truth), abs=1e-6)
    assert first.values["assd_px"] == pytest.approx(average_distance(given, truth), abs=1e-6)
    assert first.values["assd_mm"] == pytest.approx(first.values["assd_px"] * 0.25, abs=1e-5)
    assert first.values["hd95_mm"] == pytest.approx(first.values["hd95_px"] * 0.25, abs=1e-5)


def test_an_empty_answer_is_counted_and_has_no_distance(scores):
    found = set_score(by_set(scores(empty, ("box",)))["known"], None)
    assert found.n_no_distance == 3 and "hd95_px" not in found.means
    assert found.means["dice_box"] == 0 and found.seen is None


def test_clicking_ends_at_the_threshold_but_not_before_the_tenth_click(scores):
    def nearly(prompts, truth):
        few = truth.copy()
        few[np.unravel_index(np.flatnonzero(truth)[0], truth.shape)] = False
        return few

    [near], [missed] = scores(nearly, ("point",), 1), scores(empty, ("point",), 1)
    assert near.values["noc90"] == 1 and len(near.ious) <= 10
    assert len(missed.ious) == 20 and missed.values["noc80"] == 20 and missed.values["nof80"] == 1


def test_lines_are_scored_with_a_tolerance_and_without_iou(scores):
    found = {}
    for by in (0, 2, 3):
        *_, one = scores(lambda _, truth, by=by: np.roll(truth, by, axis=0), ("point", "box"))
        assert one.dataset == "dltrack_fascicle" and not any(
            "dice" in key or "noc" in key for key in one.values
        )
        assert one.judged == {}
        found[by] = one.values["nsd_box"]
    assert found[0] == found[2] == 1 and found[3] == 0


def test_a_prompt_free_system_is_asked_once(rows, scripted, rule):
    system = scripted(lambda prompts, truth: disk(20, 30, 12), prompts=())
    first, *_, empty = score(system.answers, rows[:4], (), rule)
    assert all(len(call) == 1 and not call[0] for call in system.answers.asked)
    assert len(system.answers.asked) == 4
    assert first.values["dice_none_target"] == 1 > first.values["dice_none"] > 0.8
    assert empty.marked is True and empty.values == {}
    assert set_score([first, empty], None).n_marked_empty == 1
    assert set_score([first], None).n_marked_empty is None


def test_a_prompt_free_answer_is_judged_where_the_target_is(scores):
    """A larger structure beside it, which is right as well, is not held against it."""
    [found] = scores(lambda _, truth: truth | disk(60, 25, 20), (), 1)
    assert found.values["dice_none_target"] == 1 > found.values["dice_none"]


def test_every_system_is_asked_the_same(rows, scripted, rule):
    def prompts(order):
        system = scripted(empty)
        score(system.answers, order, system.prompts, rule)
        return [
            (one.points, one.box, [int(s.pixels.sum()) for s in one.scribbles])
            for call in system.answers.asked
            for one in call
        ]

    both = prompts(rows[:2])
    assert prompts(rows[1::-1]) == prompts(rows[1:2]) + prompts(rows[:1])
    assert both == prompts(rows[:1]) + prompts(rows[1:2])


def test_a_shaky_click_stays_on_the_object_and_in_reach():
    mask = square(30, 30, 4) | square(30, 50, 2)
    centre = center_click(mask)
    rng = np.random.default_rng(0)
    clicks = [shaky_click(mask, rng, 3.0) for _ in range(60)]
    assert all(mask[int(c.y), int(c.x)] for c in clicks)
    distances = [np.hypot(c.x - centre.x, c.y - centre.y) for c in clicks]
    assert max(distances) <= 3 and len({(c.x, c.y) for c in clicks}) > 10
    alone = np.zeros((9, 9), bool)
    alone[4, 4] = True
    assert shaky_click(alone, rng, 3.0) == center_click(alone)


def test_cases_for_obedience_hold_the_first_click_and_the_box(scores):
    cases = []
    scores(inscribed, cases=cases)
    assert len(cases) == 5  # neither the empty label nor the line
    truth = disk(20, 30, 12)
    assert cases[0].click == center_click(truth) and not cases[0].clicked.any()
    assert cases[0].box_dice == dice(ellipse_in(tight_box(truth), truth.shape), truth)
