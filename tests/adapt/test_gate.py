"""What the gate lets through."""

import numpy as np
import pytest

from uniultra.adapt.gate import ENOUGH, improves, remembers, rule_of
from uniultra.adapt.holdout import held_out


def table(mean: float, count: int, seed: int = 0, spread: float = 0.0) -> np.ndarray:
    return mean + spread * np.random.default_rng(seed).standard_normal((count, 2))


def groups(count: int) -> list[str]:
    return [f"patient {n}" for n in range(count)]


def test_few_labels_pass_by_their_mean():
    better = improves("folds", table(0.6, 10), table(0.7, 10), groups(10))
    assert better.publish and better.gain == pytest.approx(0.1) and better.low == pytest.approx(0.1)
    for new in (table(0.6, 10), table(0.5, 10)):
        worse = improves("folds", table(0.6, 10), new, groups(10))
        assert not worse.publish and "not better" in worse.why


def test_one_patient_is_no_measure():
    assert not improves("folds", table(0.1, 5), table(0.9, 5), ["one"] * 5).publish


def test_many_labels_pass_by_their_interval_alone():
    now, noise = table(0.6, 40), table(0.62, 40, 1, spread=0.2)
    chance = improves("held_out", now, noise, groups(40))
    assert chance.gain > 0 and chance.low < 0 and not chance.publish and "chance" in chance.why
    assert improves("folds", now, noise, groups(40)).publish
    assert improves("held_out", now, table(0.7, 40, 1, spread=0.05), groups(40)).publish


def test_the_held_out_decide_when_they_are_enough_and_of_two_patients():
    away = [one for one in groups(40) if held_out(one)]
    rest = [one for one in groups(40) if not held_out(one)]
    assert rule_of([*rest, *away[:1] * ENOUGH]) == "folds", "a cine of one patient"
    assert rule_of([*rest, *away[:1] * (ENOUGH - 1), away[1]]) == "held_out"
    assert rule_of([*rest, *away[:1] * (ENOUGH - 2), away[1]]) == "folds"
    assert rule_of([away[0], *away[1:2] * ENOUGH]) == "folds", "nobody is left to learn from"


@pytest.mark.parametrize(
    ("click", "box", "publish"), [(0.0, 0.0, True), (0.009, 0, True), (0.011, 0, False), (-0.1, 0.02, False)]
)
def test_what_was_known_may_lose_a_hundredth_by_click_and_by_box(click, box, publish):
    first = improves("folds", table(0.6, 10), table(0.7, 10), groups(10))
    before = table(0.8, 20)
    verdict = remembers(first, {"scenes": (before, before - [click, box]), "known": (before, before)})
    assert verdict.publish is publish and ("lost" in verdict.why) is not publish
    assert verdict.metrics()["scenes_click_after"] == pytest.approx(0.8 - click)
    assert verdict.metrics()["gain"] == pytest.approx(0.1)


def test_what_is_no_better_stays_refused_whatever_it_remembers():
    worse = improves("folds", table(0.6, 10), table(0.5, 10), groups(10))
    before = table(0.8, 20)
    assert not remembers(worse, {"scenes": (before, before + 0.1)}).publish
