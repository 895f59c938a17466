"""What every registered query strategy must do."""

from dataclasses import replace

import numpy as np
import pytest

from uniultra.active.pool import Pool
from uniultra.active.registry import FILES, order, strategy

SCORES = ("entropy", "boundary", "iou", "disagreement", "foreground")


def made(n, labelled=(), *, seed=0, scored=None, batch=5):
    rng = np.random.default_rng(11)
    marked = np.zeros(n, bool)
    marked[list(labelled)] = True
    values = {name: rng.uniform(size=n) for name in SCORES}
    values |= {"features": rng.normal(size=(n, 6)), "classes": rng.uniform(size=(n, 2))}
    if scored is not None:
        for table in values.values():
            table[~np.isin(np.arange(n), scored)] = np.nan
    groups = [f"patient {k // 3}" for k in range(n)]
    return Pool(labelled=marked, rng=np.random.default_rng(seed), groups=groups, batch=batch, **values)


@pytest.fixture(params=FILES)
def name(request):
    return request.param


@pytest.mark.parametrize("labelled", [(), (0, 7, 8), range(29)])
def test_all_that_is_open_comes_once(name, labelled):
    found = order(name, made(30, labelled))
    assert sorted(found) == sorted(set(range(30)) - set(labelled))


def test_one_seed_gives_one_order(name):
    first, again = (order(name, made(40, (1, 2), seed=5)) for _ in range(2))
    assert first.tolist() == again.tolist()


def test_one_unit(name):
    assert order(name, made(1)).tolist() == [0]


def test_nothing_left(name):
    assert order(name, made(6, range(6))).tolist() == []
    assert order(name, made(0)).tolist() == []


def test_without_any_score_it_is_chance(name):
    found = [order(name, made(20, (4,), seed=s, scored=())) for s in range(6)]
    assert all(sorted(one) == sorted(set(range(20)) - {4}) for one in found)
    assert len({tuple(one) for one in found}) == 6


def test_units_without_scores_come_last(name):
    if not strategy(name).needs:
        return
    scored = [0, 3, 4, 9, 12, 13, 17]
    found = order(name, made(20, (3,), scored=scored))
    assert set(found[:6]) == {0, 4, 9, 12, 13, 17}


def test_only_its_own_scores_are_needed(name):
    pool = made(15, (2,))
    needs = strategy(name).needs
    bare = replace(
        pool,
        **{one: None for one in (*SCORES, "classes") if one not in needs},
        features=pool.features if "features" in needs else np.full((15, 1), np.nan),
    )
    assert order(name, bare).tolist() == order(name, made(15, (2,))).tolist()


def test_equal_units_are_no_trouble(name):
    pool = made(12, (0,))
    alike = {one: np.full(12, 0.5) for one in SCORES}
    equal = replace(pool, features=np.zeros((12, 4)), classes=np.zeros((12, 2)), **alike)
    assert sorted(order(name, equal)) == list(range(1, 12))


def test_choosing_changes_nothing(name):
    pool = made(25, (1,))
    before = {one: getattr(pool, one).copy() for one in (*SCORES, "features", "classes", "labelled")}
    order(name, pool)
    assert all(np.array_equal(getattr(pool, one), values) for one, values in before.items())
