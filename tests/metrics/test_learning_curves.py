"""Measures of learning curves, against values known by hand and against SciPy."""

import numpy as np
import pytest
from scipy import stats

from uniultra.errors import RequestError
from uniultra.metrics.learning_curves import aubc, bands, compare, holm, labels_to, win_matrix


def test_a_constant_keeps_its_area():
    assert aubc([5, 10, 40], [0.7, 0.7, 0.7]) == pytest.approx(0.7)
    assert aubc([5], [0.3]) == pytest.approx(0.3)


def test_area_weighs_by_labels():
    assert aubc([0, 10, 30], [0.0, 1.0, 1.0]) == pytest.approx((5 + 20) / 30)
    assert aubc([0, 10], [[0, 1], [1, 1]]).tolist() == [0.5, 1.0]


@pytest.mark.parametrize("budgets", [[], [5, 5], [5, 4]])
def test_crooked_budgets_are_refused(budgets):
    with pytest.raises(RequestError, match="rising"):
        aubc(budgets, np.ones(len(budgets)))


def test_bands_are_students():
    curves = np.asarray([[0.5, 0.6], [0.6, 0.6], [0.8, 0.6]])
    found = bands(curves)
    interval = stats.ttest_1samp(curves[:, 0], 0).confidence_interval()
    assert (found[0].low, found[0].high) == pytest.approx((interval.low, interval.high))
    assert found[1].low == found[1].high == pytest.approx(0.6)
    assert bands([0.4, 0.5])[0].low is None, "one seed says nothing of the spread"


def test_labels_to_needs_the_lower_bound():
    rng = np.random.default_rng(0)
    low, wide, sure = (
        0.7 * np.ones((5, 30)),
        np.clip(rng.normal(0.88, 0.3, (5, 30)), 0, 1),
        np.full((5, 30), 0.9),
    )
    assert labels_to(0.9, [5, 10, 15], [low, wide, sure]) == 15, "a mean that passes is not enough"
    assert labels_to(0.9, [5, 10], [low, low]) is None
    groups = [n // 10 for n in range(30)]
    assert labels_to(0.9, [5], [sure], groups) == 5


def test_comparison_is_the_paired_t_test():
    rng = np.random.default_rng(1)
    base = rng.uniform(0.5, 0.8, 6)
    scores = {"a": base + 0.05 + rng.normal(0, 0.005, 6), "b": base, "c": base + rng.normal(0, 0.05, 6)}
    found = {(one.first, one.second): one for one in compare(scores)}
    assert found["a", "b"].p == pytest.approx(stats.ttest_rel(scores["a"], scores["b"]).pvalue)
    assert found["a", "b"].winner == "a" and found["b", "c"].winner is None
    assert found["a", "b"].low < found["a", "b"].difference < found["a", "b"].high
    raw = [one.p for one in found.values()]
    assert [one.p_holm for one in found.values()] == pytest.approx(holm(raw))


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_equal_scores_and_single_seeds_win_nothing():
    assert compare({"a": [0.5, 0.5], "b": [0.5, 0.5]})[0].p == 1
    one = compare({"a": [0.9], "b": [0.1]})[0]
    assert one.p is None and one.winner is None
    with pytest.raises(RequestError, match="same seeds"):
        compare({"a": [0.5], "b": [0.5, 0.6]})


def test_win_matrix_counts_settings():
    sure = compare({"a": [0.8, 0.82, 0.81, 0.8], "b": [0.5, 0.51, 0.52, 0.5]})
    even = compare({"a": [0.5, 0.6], "b": [0.6, 0.5]})
    assert win_matrix(["a", "b"], [sure, even]).tolist() == [[0, 0.5], [0, 0]]
    assert win_matrix(["b", "a"], [sure]).tolist() == [[0, 0], [1, 0]]
