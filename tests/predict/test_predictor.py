"""A predictor answers from its cache, and never with the mask of another image."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from noise_source import Noise

from uniultra.errors import ModelError, PromptError
from uniultra.images.types import Plane
from uniultra.predict import Predictor
from uniultra.predict.device import choose_device, worker
from uniultra.predict.embedding_cache import EmbeddingCache
from uniultra.prompts import Box, Lasso, MaskPrompt, Point, PromptSet, Scribble


@pytest.fixture(scope="module")
def predictor():
    return Predictor("uniultra_mini", device="cpu")


CLICK = PromptSet(points=(Point(40, 60),))


def test_the_second_prompt_reads_nothing(predictor):
    source = Noise("second")
    [first] = predictor.predict(source, Plane("k", 0), [CLICK])
    [again] = predictor.predict(source, Plane("k", 0), [CLICK])
    assert len(source.readers) == 1
    assert (first.timings["cached"], again.timings["cached"]) == (0, 1)
    assert np.array_equal(first.mask, again.mask) and first.score == again.score
    assert set(again.timings) == {"cached", "read", "queue", "encode", "decode", "total"}
    assert again.mask.shape == (120, 160) and again.mask.dtype == bool and 0 <= again.score <= 1


def test_prefetch_makes_the_first_prompt_a_later_one(predictor):
    source = Noise("prefetch")
    assert predictor.prefetch(source, Plane("k", 1)) is True
    assert predictor.prefetch(source, Plane("k", 1)) is False
    [answer] = predictor.predict(source, Plane("k", 1), [CLICK])
    assert answer.timings["cached"] == 1


def test_several_objects_in_one_call_equal_one_call_each(predictor):
    grid = np.zeros((120, 160), bool)
    grid[20:60, 30:90] = True
    sets = [
        CLICK,
        PromptSet(box=Box(100, 80, 20, 30)),
        PromptSet(scribbles=(Scribble(grid),), points=(Point(5, 5, False), Point(80, 50))),
        PromptSet(lasso=Lasso(((10, 10), (90, 15), (60, 100)))),
        PromptSet(mask=MaskPrompt(grid), points=(Point(99, 99, False),)),
    ]
    source = Noise("several")
    together = predictor.predict(source, Plane("k", 0), sets)
    for prompts, answer in zip(sets, together, strict=True):
        [alone] = predictor.predict(source, Plane("k", 0), [prompts])
        # Larger batches may sum in another order; then a border pixel may differ.
        assert (alone.mask != answer.mask).mean() < 0.002
        assert alone.score == pytest.approx(answer.score, abs=1e-3)


def test_a_network_that_takes_logits_gets_no_map_where_no_mask_was_given(monkeypatch):
    predictor = Predictor("uniultra_mini", device="cpu")
    seen = []
    network = predictor.loaded().network

    def decode(embedding, coords, labels, dense):
        seen.append(dense)
        side = network.mask_side
        return torch.zeros(len(coords), 1, side, side), torch.zeros(len(coords), 1)

    monkeypatch.setattr(network, "decode", decode)
    monkeypatch.setattr(network, "map_channels", 1)
    masked = replace(CLICK, mask=MaskPrompt(np.ones((120, 160), bool)))
    predictor.predict(Noise("logits"), Plane("k", 0), [CLICK, masked, CLICK])
    [dense] = seen
    assert dense.shape[:2] == (3, 1) and dense[1].all() and not dense[0].any() and not dense[2].any()


def test_colour_pictures_are_seen_in_colour(predictor):
    source = Noise("colour", shape=(1, 120, 160, 3))
    [answer] = predictor.predict(source, Plane("k", 0), [CLICK])
    assert answer.mask.shape == (120, 160)


def test_many_users_never_get_each_others_masks():
    """A cache of two embeddings, eight images, eight threads: every answer equals the lone one."""
    predictor = Predictor("uniultra_mini", device="cpu", cache=EmbeddingCache(3 << 20))
    sources = [Noise(f"user-{n}", seed=n) for n in range(8)]
    prompts = [PromptSet(points=(Point(10 + 15 * n, 20 + 10 * n),)) for n in range(8)]

    def ask(n):
        return predictor.predict(sources[n], Plane("k", n % 2), [prompts[n]])[0].mask

    alone = [ask(n) for n in range(8)]
    assert len({m.tobytes() for m in alone}) > 1
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(8), 4))
    with ThreadPoolExecutor(8) as users:
        for n, mask in zip(order, users.map(ask, order), strict=True):
            assert np.array_equal(mask, alone[n])
    assert predictor.cache.bytes <= 3 << 20


def test_work_runs_on_one_thread_that_stays():
    names = {
        worker(torch.device("cpu")).submit(lambda: __import__("threading").get_ident()).result()
        for _ in range(5)
    }
    assert len(names) == 1


def test_a_failing_call_leaves_the_worker_alive(predictor):
    class Broken(Noise):
        def picture(self, plane):
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        predictor.predict(Broken("broken"), Plane("k", 0), [CLICK])
    assert predictor.predict(Noise("after"), Plane("k", 0), [CLICK])


def test_bad_prompts_are_refused_before_anything_is_read(predictor):
    source = Noise("bad")
    for prompts in ([], [PromptSet()], [PromptSet(points=(Point(500, 5),))]):
        with pytest.raises(PromptError):
            predictor.predict(source, Plane("k", 0), prompts)
    assert not source.readers


def test_constructing_is_cheap_and_warm_up_loads():
    fresh = Predictor("uniultra_mini", device="cpu")
    assert fresh._loaded is None
    fresh.warm_up()
    assert fresh._loaded is not None


def test_warming_up_encodes_nothing_after_a_first_prompt(monkeypatch):
    predictor = Predictor("uniultra_mini", device="cpu")
    predictor.predict(Noise("quick"), Plane("k", 0), [CLICK])
    monkeypatch.setattr(predictor.loaded().network, "encode", lambda _: pytest.fail("encoded again"))
    predictor.warm_up()


def test_unknown_devices_are_refused():
    with pytest.raises(ModelError, match="auto, cpu"):
        choose_device("quantum")
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="0 CUDA devices"):
            choose_device("cuda")
