"""Units ordered by a strategy from the scores that there are."""

import logging
import time

import numpy as np
import pytest
from made_scores import memory, score

from uniultra.active.registry import FILES
from uniultra.active.score_store import Scored, ScoreStore
from uniultra.errors import RequestError
from uniultra.serve.scoring.rankings import Rankings
from uniultra.store.types import Unit


@pytest.mark.parametrize("strategy", FILES)
def test_every_strategy_orders_all_units(strategy, tmp_path):
    rng = np.random.default_rng(0)
    values = {str(n): score(rng.uniform(), rng.normal(size=6), head=rng.uniform()) for n in range(12)}
    scores, place = memory(values, tmp_path)
    units = [Unit(str(n), 0) for n in range(20)]
    rankings = Rankings(scores, place, lambda: [Unit("3", 0)], batch=4)
    asked = [unit for unit in units if unit.image != "3"]
    found = rankings.order(strategy, asked)
    assert sorted(found) == sorted(asked)
    if strategy != "random":
        assert {int(unit.image) for unit in found[:11]} == set(range(12)) - {3}
    assert Rankings(scores, place, lambda: [Unit("3", 0)], batch=4).order(strategy, asked) == found


def test_a_batch_stays_while_it_is_labelled(tmp_path):
    rng = np.random.default_rng(0)
    scores, place = memory({str(n): score(rng.uniform(), rng.normal(size=4)) for n in range(40)}, tmp_path)
    done = []
    rankings = Rankings(scores, place, lambda: done, batch=5)
    units = [Unit(str(n), 0) for n in range(40)]
    first = rankings.order("default", units)
    for count in range(1, 5):
        done = first[:count]
        left = [unit for unit in units if unit not in done]
        assert rankings.order("default", left) == first[count:]
    done = first[:5]
    left = [unit for unit in units if unit not in done]
    assert rankings.order("default", left) != first[5:], "after a batch it is chosen anew"


def test_unscored_units_follow_by_chance(tmp_path):
    scores, place = memory({"a": score(0.1), "b": score(0.9)}, tmp_path)
    units = [Unit(name, 0) for name in "xyzab"]
    found = Rankings(scores, place, tuple).order("entropy", units)
    assert [unit.image for unit in found[:2]] == ["b", "a"]
    nothing = Rankings(ScoreStore(tmp_path / "none"), lambda unit: None, tuple)
    assert sorted(nothing.order("default", units)) == sorted(units)
    assert nothing.order("default", []) == [] and nothing.score(units[0]) is None
    with pytest.raises(RequestError, match="typiclust"):
        nothing.order("best", units)


def test_a_new_image_gets_its_place(tmp_path):
    scores, place = memory({"a": score(0.1), "b": score(0.9)}, tmp_path)
    rankings = Rankings(scores, place, tuple)
    assert len(rankings.order("entropy", [Unit("a", 0), Unit("b", 0)])) == 2
    scores.put(Scored("c", 0), "g", score(0.5))
    found = rankings.order("entropy", [Unit(name, 0) for name in "abc"])
    assert [unit.image for unit in found] == ["b", "c", "a"]


def test_a_thousand_frames_are_ordered_by_everyone(tmp_path):
    """The times are told, not judged: `pytest --log-cli-level=INFO -k thousand`."""
    rng = np.random.default_rng(0)
    scores, place = memory(
        {str(n): score(rng.uniform(), rng.normal(size=512), head=rng.uniform()) for n in range(1000)},
        tmp_path,
    )
    units = [Unit(str(n), 0) for n in range(1000)]
    for name in FILES:
        rankings = Rankings(scores, place, lambda: units[:20], batch=10)
        began = time.perf_counter()
        found = rankings.order(name, units[20:])
        took = time.perf_counter() - began
        assert len(set(found)) == 980
        logging.getLogger(__name__).info("%s: %.2f s", name, took)
