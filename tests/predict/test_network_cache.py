"""Networks beyond the limit are released, the least recently used first, and loaded again on demand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_bundles import own_weights
from noise_source import Noise

from uniultra.images.types import Plane
from uniultra.models import build
from uniultra.predict import Predictor
from uniultra.predict.embedding_cache import EmbeddingCache
from uniultra.predict.network_cache import NetworkCache
from uniultra.prompts import Point, PromptSet

NAMES = ("uniultra_mini", "uniultra_mini.one", "uniultra_mini.two")
CLICK = PromptSet(points=(Point(40, 60),))


@pytest.fixture(autouse=True)
def weights_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three networks that share nothing."""
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tmp_path))
    own_weights(tmp_path, side=None, names=NAMES)


def made(limit: int) -> tuple[NetworkCache, list[Predictor]]:
    resident, cache = NetworkCache(limit), EmbeddingCache(1 << 30)
    return resident, [Predictor(name, device="cpu", cache=cache, networks=resident) for name in NAMES]


def ask(predictor: Predictor) -> tuple[np.ndarray, float]:
    [found] = predictor.predict(Noise(), Plane("k", 0), [CLICK])
    return found.mask, found.timings["cached"]


def test_the_least_recently_used_network_is_released() -> None:
    one = sum(t.nbytes for t in build("uniultra_mini").state_dict().values())
    resident, (first, second, third) = made(int(2.5 * one))
    before, _ = ask(first)
    ask(second)
    ask(first)
    ask(third)
    assert len(resident) == 2
    assert [p._loaded is None for p in (first, second, third)] == [False, True, False]
    ask(second)
    assert first._loaded is None
    again, cached = ask(first)
    assert cached == 1, "its embeddings outlive it"
    np.testing.assert_array_equal(before, again)


def test_one_network_stays_however_large_it_is() -> None:
    resident, predictors = made(1)
    for predictor in predictors:
        ask(predictor)
        assert len(resident) == 1 and predictor._loaded is not None
