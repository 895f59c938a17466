"""Intervals cover what they say, and no more."""

import numpy as np
import pytest
from scipy import stats

from uniultra.errors import RequestError
from uniultra.metrics.intervals import difference_interval, mean_interval


def test_the_interval_is_that_of_scipy():
    values = np.random.default_rng(7).random(30)
    options = {"n_resamples": 500, "method": "percentile", "rng": np.random.default_rng(0), "batch": 200}
    expected = stats.bootstrap([values], np.mean, **options).confidence_interval
    found = mean_interval(values, resamples=500)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_one_seed_agrees_with_the_normal_interval():
    values = np.random.default_rng(0).normal(0.8, 0.1, 400)
    found = mean_interval(values)
    half = 1.96 * values.std(ddof=1) / 20
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.002)
    assert found.high == pytest.approx(values.mean() + half, abs=0.002)
    assert (found.n, found.groups, found.seeds) == (400, 400, 1)


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says():
    """Pictures and seeds both vary; over pictures alone the interval would be far too narrow."""
    rng = np.random.default_rng(1)
    hits = {"both": 0, "pictures": 0}
    for _ in range(150):
        table = (
            0.5 + rng.normal(0, 0.1, (1, 40)) + rng.normal(0, 0.05, (10, 1)) + rng.normal(0, 0.02, (10, 40))
        )
        both, pictures = mean_interval(table, resamples=400), mean_interval(table.mean(0), resamples=400)
        hits["both"] += both.low <= 0.5 <= both.high
        hits["pictures"] += pictures.low <= 0.5 <= pictures.high
    assert 0.87 <= hits["both"] / 150 <= 0.99
    assert hits["pictures"] < hits["both"]


def test_pictures_of_one_patient_do_not_count_as_many():
    rng = np.random.default_rng(2)
    patients = rng.normal(0.7, 0.1, 20)
    values, groups = np.repeat(patients, 10), np.repeat(np.arange(20), 10)
    grouped, alone = mean_interval(values, list(groups)), mean_interval(values)
    assert grouped.mean == pytest.approx(alone.mean)
    ratio = (grouped.high - grouped.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(np.sqrt(10), rel=0.15)
    assert (grouped.groups, grouped.n) == (20, 200)


def test_undefined_values_are_left_out_and_counted():
    table = [[0.5, np.nan, 0.7], [0.6, np.nan, np.nan]]
    found = mean_interval(table)
    assert found.mean == pytest.approx(0.6) and found.n == 3 and found.groups == 2 and found.seeds == 2
    assert 0.5 <= found.low <= found.mean <= found.high <= 0.7


def test_one_value_has_no_interval_and_several_seeds_of_one_picture_have():
    lone = mean_interval([0.4])
    assert (lone.mean, lone.low, lone.high) == (0.4, None, None)
    seeds = mean_interval([[0.4], [0.6]])
    assert (seeds.low, seeds.high) == (pytest.approx(0.4), pytest.approx(0.6))


def test_the_same_table_gives_the_same_interval():
    values = np.random.default_rng(3).random((3, 50))
    assert mean_interval(values) == mean_interval(values)
    assert mean_interval(values) != mean_interval(values, rng=1)


def test_a_paired_difference_is_narrower_than_two_means():
    rng = np.random.default_rng(4)
    hard = rng.normal(0.7, 0.2, 60)
    first, second = hard + rng.normal(0.03, 0.02, (3, 60)), hard + rng.normal(0, 0.02, (2, 60))
    found = difference_interval(first, second)
    assert found.mean == pytest.approx(first.mean() - second.mean())
    assert 0 < found.low < found.high < 0.06
    lone = mean_interval(first)
    assert found.high - found.low < (lone.high - lone.low) / 3
    assert difference_interval(second, first).mean == pytest.approx(-found.mean)


def test_a_difference_is_of_pictures_that_both_have():
    found = difference_interval([1.0, 0.8, np.nan], [0.5, np.nan, 0.1])
    assert found.mean == pytest.approx(0.5) and found.n == 1


def test_what_cannot_be_averaged_is_refused():
    with pytest.raises(RequestError, match="defined"):
        mean_interval([np.nan, np.nan])
    with pytest.raises(RequestError, match="2 pictures"):
        mean_interval([0.1, 0.2], ["a"])
    with pytest.raises(RequestError, match="2 and 3"):
        difference_interval([0.1, 0.2], [0.1, 0.2, 0.3])
