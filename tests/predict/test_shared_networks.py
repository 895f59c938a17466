"""Tasks of one base share its network in memory and the embeddings of a picture."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from noise_source import Noise

from uniultra.adapters import apg
from uniultra.images.types import Plane
from uniultra.models import build
from uniultra.predict import Predictor
from uniultra.predict.embedding_cache import EmbeddingCache
from uniultra.prompts import Point, PromptSet
from uniultra.weights import bundle, loading, tensors

PLANE, NOTHING, CLICK = Plane("k", 0), PromptSet(), PromptSet(points=(Point(40, 60),))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a base, of two tasks on it (a whole file and a bundle) and of one on another base."""
    made = tmp_path_factory.mktemp("weights")
    patch = pytest.MonkeyPatch()
    patch.setenv("UNIULTRA_WEIGHTS", str(made))
    torch.manual_seed(3)
    tensors.save(made / "uniultra_mini.safetensors", build("uniultra_mini"), {})
    for task in ("breast", "thyroid", "stranger"):
        base = build("uniultra_mini") if task == "stranger" else loading.load("uniultra_mini")[0]
        network = apg.inject(base)
        for parameter in network.apg.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
        if task == "thyroid":
            bundle.save(made / f"autosamus_mini.{task}", network, "autosamus_mini")
        else:
            tensors.save(made / f"autosamus_mini.{task}.safetensors", network, {})
    patch.undo()
    return made


@pytest.fixture(autouse=True)
def those_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(folder))


def predictors(*names: str) -> tuple[EmbeddingCache, list[Predictor]]:
    cache = EmbeddingCache(64 << 20)
    return cache, [Predictor(name, device="cpu", cache=cache) for name in names]


def test_weights_of_tasks_are_found_by_their_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loading, "shipped_folder", lambda: tmp_path)
    tasks = ("autosamus_mini.breast", "autosamus_mini.stranger", "autosamus_mini.thyroid")
    assert loading.variants() == tasks


def test_names_that_belong_to_no_model_are_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("nobody.breast", "autosamus_mini.A b", "autosamus_mini.", ".autosamus_mini"):
        (folder / f"{name}.safetensors").touch()
    (folder / "autosamus_mini.empty").mkdir(exist_ok=True)
    test_weights_of_tasks_are_found_by_their_names(monkeypatch, tmp_path)


def test_tasks_share_their_base_and_its_embedding() -> None:
    cache, [breast, thyroid, clicks] = predictors(
        "autosamus_mini.breast", "autosamus_mini.thyroid", "uniultra_mini"
    )
    source = Noise("shared")
    [first] = breast.predict(source, PLANE, [NOTHING])
    [second] = thyroid.predict(source, PLANE, [NOTHING])
    [third] = clicks.predict(source, PLANE, [CLICK])
    assert [a.timings["cached"] for a in (first, second, third)] == [0, 1, 1]
    assert len(source.readers) == 1 and len(cache) == 1
    bases = {id(breast.loaded().network.base), id(thyroid.loaded().network.base), id(clicks.loaded().network)}
    assert len(bases) == 1
    assert not np.array_equal(first.mask, second.mask), "each task has a generator of its own"


@pytest.mark.parametrize("name", ["autosamus_mini.breast", "autosamus_mini.thyroid"])
def test_an_answer_on_a_shared_base_is_that_of_the_network_alone(name: str) -> None:
    _, [shared, _] = predictors(name, "uniultra_mini")
    alone = Predictor.of(loading.load(name)[0], shared.entry, device="cpu")
    for index in range(2):
        [first] = shared.predict(Noise("alone"), Plane("k", index), [NOTHING])
        [second] = alone.predict(Noise("alone"), Plane("k", index), [NOTHING])
        assert np.array_equal(first.mask, second.mask) and first.score == second.score


def test_a_base_of_other_numbers_is_another() -> None:
    cache, [breast, stranger] = predictors("autosamus_mini.breast", "autosamus_mini.stranger")
    source = Noise("other")
    breast.predict(source, PLANE, [NOTHING])
    [answer] = stranger.predict(source, PLANE, [NOTHING])
    assert answer.timings["cached"] == 0 and len(cache) == 2
    assert breast.loaded().network.base is not stranger.loaded().network.base


def test_an_unused_base_is_freed() -> None:
    _, [stranger] = predictors("autosamus_mini.stranger")
    base = weakref.ref(stranger.loaded().network.base)
    del stranger
    gc.collect()
    assert base() is None


def test_what_is_not_kept_pushes_nothing_out() -> None:
    cache, [breast] = predictors("autosamus_mini.breast")
    breast.predict(Noise("kept"), PLANE, [NOTHING])
    for index in range(3):
        [answer] = breast.predict(Noise("film"), Plane("k", index), [NOTHING], keep=False)
        assert answer.timings["cached"] == 0
    assert len(cache) == 1
    [answer] = breast.predict(Noise("kept"), PLANE, [NOTHING], keep=False)
    assert answer.timings["cached"] == 1, "what is kept is used all the same"


def test_a_network_without_prompts_is_warmed_up_too() -> None:
    _, [breast] = predictors("autosamus_mini.breast")
    breast.warm_up()
    assert breast._loaded is not None
