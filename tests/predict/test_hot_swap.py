"""A newly published adapter answers from some click on; every answer is of one network and names it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from made_bundles import MODEL, changed_bundle, own_weights

from uniultra.errors import ModelError
from uniultra.predict import Predictor
from uniultra.predict import hot_swap as swapping
from uniultra.predict.shared_networks import Loaded
from uniultra.predict.still import STILL, Still
from uniultra.prompts.types import Point, PromptSet
from uniultra.weights import bundle
from uniultra.weights.deployed import Published

CLICK = [PromptSet(points=(Point(30, 20),))]


@pytest.fixture
def campaign(tmp_path, monkeypatch):
    """A studies folder's bundles, a function that publishes one more, a predictor of them and a still."""
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tmp_path / "weights"))
    own_weights(tmp_path / "weights", 2)
    published = Published(tmp_path / "studies")

    def publish(seed: int, trains=("",)) -> str:
        return published.publish(changed_bundle(tmp_path / f"b{seed}", seed, trains, by=0.2))

    return published, publish, Predictor(MODEL, device="cpu", published=published), picture(0)


def picture(seed: int) -> Still:
    return Still(np.random.default_rng(seed).integers(0, 255, (48, 64), np.uint8))


def until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_it_follows_what_is_published_and_rolled_back(campaign):
    published, publish, predictor, source = campaign
    [own] = predictor.predict(source, STILL, CLICK)
    assert own.adapter is None and len(predictor.cache) == 1
    first = publish(1)
    until(lambda: predictor.adapter == first)
    assert len(predictor.cache) == 0  # embeddings of other weights are useless
    [new] = predictor.predict(source, STILL, CLICK)
    assert new.adapter == first and new.score != own.score
    published.rollback(MODEL)
    until(lambda: predictor.adapter is None)
    [back] = predictor.predict(source, STILL, CLICK)
    assert back.adapter is None and back.score == own.score
    fresh = Predictor(MODEL, device="cpu", published=published)
    assert fresh.adapter is None and fresh._loaded is None  # asking loads nothing
    published.rollback(MODEL, first)
    assert fresh.predict(source, STILL, CLICK)[0].adapter == first  # at once, when it is loaded first


def test_embeddings_stay_where_only_what_decodes_is_another(campaign):
    _, publish, predictor, source = campaign
    predictor.predict(source, STILL, CLICK)
    first = publish(1, (".sam_mask_decoder.transformer.", ".sam_prompt_encoder."))
    until(lambda: predictor.adapter == first)
    [new] = predictor.predict(source, STILL, CLICK)
    assert new.timings["cached"] == 1 and new.adapter == first


def test_no_embedding_stays_where_the_decoder_that_is_part_of_it_is_another(campaign):
    published, publish, predictor, source = campaign
    decoder = (".sam_prompt_encoder.", ".sam_mask_decoder.")
    first, second = publish(1, decoder), publish(2, decoder)
    alone, kept = {}, {}
    for adapter in (first, second):
        published.rollback(MODEL, adapter)
        [alone[adapter]] = Predictor(MODEL, device="cpu", published=published).predict(source, STILL, CLICK)
    published.rollback(MODEL, first)
    for adapter in (first, second):
        published.rollback(MODEL, adapter)
        until(lambda wanted=adapter: predictor.loaded().adapter == wanted)
        [kept[adapter]] = predictor.predict(source, STILL, CLICK)
    assert kept[second].timings["cached"] == 0
    assert [kept[adapter].score for adapter in (first, second)] == [
        alone[adapter].score for adapter in (first, second)
    ]


def test_clicks_under_way_finish_on_the_network_they_began_with(campaign):
    published, publish, predictor, _ = campaign
    expected = {}
    ids = [None]
    for seed in (1, 2, 3):
        ids.append(publish(seed))
    sources = [picture(n) for n in range(4)]
    for adapter in ids:
        published.rollback(MODEL, adapter, own=adapter is None)
        alone = Predictor(MODEL, device="cpu", published=published)
        for n, source in enumerate(sources):
            [answer] = alone.predict(source, STILL, CLICK)
            expected[adapter, n] = answer
    assert len({expected[adapter, 0].score for adapter in ids}) == 4
    stop, seen = threading.Event(), set()

    def clicks(worker: int) -> int:
        n = worker
        while not stop.is_set():
            n = (n + 1) % len(sources)
            [answer] = predictor.predict(sources[n], STILL, CLICK)
            wanted = expected[answer.adapter, n]
            assert answer.score == pytest.approx(wanted.score, abs=1e-5)
            assert (answer.mask == wanted.mask).mean() > 0.999
            seen.add(answer.adapter)
        return n

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(clicks, worker) for worker in range(4)]
        for adapter in ids:
            published.rollback(MODEL, adapter, own=adapter is None)
            until(lambda wanted=adapter: predictor.adapter == wanted or any(r.done() for r in running))
            time.sleep(0.2)
        stop.set()
        for clicking in running:
            clicking.result()
    assert seen == set(ids)


def test_a_bundle_that_cannot_be_loaded_keeps_the_old_one_and_says_so(campaign, monkeypatch):
    published, publish, predictor, source = campaign
    first = publish(1)
    predictor.predict(source, STILL, CLICK)
    second = publish(2)
    path = published.path(second) / bundle.WEIGHTS
    path.write_bytes(path.read_bytes()[:-3])
    until(lambda: predictor.adapter and predictor.problem)
    assert predictor.predict(source, STILL, CLICK)[0].adapter == first
    assert "damaged" in predictor.problem
    tries = []
    with monkeypatch.context() as patch:
        patch.setattr(swapping, "load_bundle", lambda *_: tries.append(1))
        predictor.predict(source, STILL, CLICK)
        assert not tries  # not at every click
    fresh = Predictor(MODEL, device="cpu", published=published)
    assert fresh.predict(source, STILL, CLICK)[0].adapter is None and "damaged" in fresh.problem
    published.rollback(MODEL)
    until(lambda: predictor.adapter == first and predictor.problem is None)


class Choice:
    """What says which bundle answers, without a folder."""

    def __init__(self) -> None:
        self.chosen: str | None = None
        self.changes = 0

    def choose(self, adapter: str | None) -> None:
        self.chosen, self.changes = adapter, self.changes + 1

    def stamp(self) -> int:
        return self.changes

    def current(self, model: str) -> str | None:
        return self.chosen

    def path(self, bundle_id: str) -> None:
        return None


@pytest.fixture
def slow(monkeypatch):
    """A choice, its predictor, and the events that bundles `x` and `y` wait for when they are loaded."""
    gates, begun = ({name: threading.Event() for name in "xy"} for _ in range(2))

    def bundle_of(model, folder, name, device):
        begun[name].set()
        assert gates[name].wait(60)
        if (name, "damaged") in broken:
            raise ModelError("It is damaged.")
        return Loaded(torch.nn.Identity(), ("network", name), name)

    broken: set[tuple[str, str]] = set()
    own = Loaded(torch.nn.Identity(), ("network", "own"))
    monkeypatch.setattr(swapping, "load", lambda model, device: own)
    monkeypatch.setattr(swapping, "load_bundle", bundle_of)
    choice = Choice()
    return choice, Predictor(MODEL, device="cpu", published=choice), gates, begun, broken


def under_way(choice, predictor, begun):
    """The own weights answer, and `x` is being loaded in their place."""
    assert predictor.loaded().adapter is None
    choice.choose("x")
    predictor.loaded()
    assert begun["x"].wait(60)


def swapped(predictor):
    """The thread that swaps is at its end."""
    until(lambda: not predictor._swap._busy.locked())


@pytest.mark.parametrize("damaged", [False, True])
def test_a_swap_that_was_overtaken_puts_nothing_back(slow, damaged):
    choice, predictor, gates, begun, broken = slow
    broken |= {("x", "damaged")} if damaged else set()
    under_way(choice, predictor, begun)
    predictor.release()
    choice.choose("y")
    gates["y"].set()
    assert predictor.loaded().adapter == "y"
    gates["x"].set()
    swapped(predictor)
    for _ in range(3):
        assert predictor.loaded().adapter == "y" and predictor.problem is None
        swapped(predictor)


def test_a_swap_takes_no_memory_that_was_let_go(slow):
    choice, predictor, gates, begun, _ = slow
    under_way(choice, predictor, begun)
    predictor.release()
    gates["x"].set()
    swapped(predictor)
    assert predictor._loaded is None
    assert predictor.loaded().adapter == "x"


def test_a_look_at_what_no_longer_answers_is_done_again(slow):
    choice, predictor, gates, _, _ = slow
    gates["x"].set()
    gates["y"].set()
    old = predictor.loaded()
    predictor.release()
    choice.choose("x")
    assert predictor.loaded().adapter == "x"
    choice.choose(None)
    predictor._swap.check(old, predictor._take)  # of a click that began before all that
    swapped(predictor)
    until(lambda: predictor.loaded().adapter is None)


def test_a_problem_goes_with_the_bundle_that_had_it(slow):
    choice, predictor, gates, begun, broken = slow
    broken.add(("x", "damaged"))
    under_way(choice, predictor, begun)
    gates["x"].set()
    until(lambda: predictor.problem is not None)
    predictor.release()
    choice.choose(None)
    assert predictor.loaded().adapter is None and predictor.problem is None
