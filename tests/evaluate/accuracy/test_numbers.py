"""Means, paired differences, robustness and calibration of scores whose numbers are known."""

import numpy as np
import pytest

from uniultra.errors import RequestError
from uniultra.evaluate import scoring
from uniultra.evaluate.accuracy.comparisons import differences, jitter, organs, set_score
from uniultra.evaluate.records import PictureScore
from uniultra.evaluate.summaries import by_set, column, difference
from uniultra.metrics.calibration import calibration, calibrations
from uniultra.metrics.intervals import mean_interval


@pytest.fixture
def scores(rows, scripted, rule):
    """Scores of a scripted system on the pictures."""

    def make(*change, score=1.0):
        system = scripted(*change, score=score)
        return scoring.score(system.answers, rows, system.prompts, rule)

    return make


def made(values, key="dice_box", dataset="known", groups=None):
    return [
        PictureScore(dataset=dataset, id=str(n), group=groups[n] if groups else str(n), values={key: value})
        for n, value in enumerate(values)
    ]


def test_a_biased_system_is_miscalibrated_by_its_bias(scores):
    found = calibrations(one.judged for one in scores(score=0.7))
    assert set(found) == {"all", "1 click", "box", "noisy box", "scribble"}  # the first click was right
    for one in found.values():
        assert one.error == pytest.approx(0.3) and one.bias == pytest.approx(-0.3)
        assert one.correlation is None
    assert found["noisy box"].n == 5 * 3 and found["box"].n == 5
    exact = calibrations(one.judged for one in scores(score=1.0))["all"]
    assert exact.error == 0 and exact.bins[-1].n == exact.n


def test_bins_hold_what_was_predicted_there():
    found = calibration([(0.05, 0.15), (0.05, 0.05), (0.55, 0.35), (1.0, 0.8)])
    low, middle, high = found.bins[0], found.bins[5], found.bins[9]
    assert (low.n, middle.n, high.n) == (2, 1, 1)
    assert low.predicted == pytest.approx(0.05) and low.actual == pytest.approx(0.1)
    assert found.error == pytest.approx((2 * 0.05 + 0.2 + 0.2) / 4)
    assert found.bias == pytest.approx((-0.1 + 0.2 + 0.2) / 4)
    assert found.correlation == pytest.approx(
        np.corrcoef([0.05, 0.05, 0.55, 1], [0.15, 0.05, 0.35, 0.8])[0, 1]
    )
    assert [one.n for one in found.bins if one.predicted is None] == [0] * 7


def test_a_system_that_does_not_judge_itself_has_no_calibration(scores):
    assert calibrations(one.judged for one in scores(score=float("nan"))) == {}


def test_intervals_are_over_patients():
    found = set_score(made([0.2, 0.4, 0.9], groups=["x", "x", "y"]), ["known"])
    assert found.means["dice_box"] == pytest.approx(0.5)
    low, high = found.intervals["dice_box"]
    assert low == pytest.approx(0.3) and high == pytest.approx(0.9)  # only x, only y
    assert set_score(made([0.2, 0.4], groups=["x", "x"]), []).intervals["dice_box"] is None


def test_a_paired_interval_sees_a_constant_difference_exactly():
    spread = np.linspace(0.1, 0.8, 12)
    found = difference([made(spread + 0.1)], [made(spread)], "dice_box")
    assert found.mean == pytest.approx(0.1)
    assert (found.low, found.high) == (pytest.approx(0.1), pytest.approx(0.1))
    with pytest.raises(RequestError, match="same pictures"):
        difference([made(spread)], [made(spread[:5])], "dice_box")


def test_answers_to_the_same_drawn_boxes_are_paired_by_seed():
    drawn = np.array([[0.2, 0.9, 0.5], [0.8, 0.1, 0.6]])
    first, second = ([one.model_copy(update={"values": {}, "repeated": {"dice_box_noisy": tuple(seeds)}})
                      for one, seeds in zip(made([0, 0, 0]), table.T, strict=True)]
                     for table in (drawn + 0.1, drawn))  # fmt: skip
    found = difference([first], [second], "dice_box_noisy")
    assert (found.low, found.mean, found.high) == (pytest.approx(0.1),) * 3


def test_a_prompt_free_system_is_compared_by_its_one_answer():
    found = differences(made([0.9, 0.8]), made([0.5, 0.7], "dice_none_target"))["known"]
    assert set(found) == {"dice_box"} and found["dice_box"].mean == pytest.approx(0.25)


def test_jitter_is_the_paired_difference_over_pictures_and_seeds(scores):
    def worse_off_centre(prompts, truth):
        box = prompts.box
        return truth if box is None or box.x0 == int(box.x0) else np.zeros_like(truth)

    pictures = scores(worse_off_centre)
    found = jitter(pictures)["known"]
    assert found["click"].difference.mean == 0
    labelled = [one for one in by_set(pictures)["known"] if one.values]
    clean, moved = (column([labelled], key) for key in ("dice_box", "dice_box_noisy"))
    assert clean.shape == (1, 3) and moved.shape == (3, 3)
    expected = mean_interval(clean - moved, [one.group for one in labelled])
    assert found["box"].difference == expected
    assert found["box"].difference.mean == pytest.approx(clean.mean() - moved.mean()) == 1


def test_organs_seen_and_unseen_stand_apart():
    values = {"one": [1.0] * 9, "two": [0.5], "other": [0.25], "dltrack_fascicle": [0.0]}
    found = organs({name: set_score(made(v, dataset=name), ["one", "two"]) for name, v in values.items()})
    assert found["seen"].sets == ("one", "two") and found["seen"].means == {"dice_box": 0.75}
    assert found["unseen"].sets == ("other",) and found["unseen"].means == {"dice_box": 0.25}
