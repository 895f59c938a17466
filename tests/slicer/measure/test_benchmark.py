"""The committed errors of the head circumference: that they are of all heads, and come out again."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
RESULT = ROOT / "training" / "benchmark" / "results" / "measurements.json"


@pytest.fixture(scope="module")
def benchmark() -> Any:
    spec = importlib.util.spec_from_file_location(
        "measurements", ROOT / "training" / "benchmark" / "measurements.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_numbers_come_out_again(benchmark: Any, shared_dir: Path) -> None:
    """On a part of the heads: a pixel too wide, as HC18's masks are, and nothing else."""
    committed = json.loads(RESULT.read_text())["true_masks"]
    assert committed["heads"] == 201 and committed["not_measured"] == 0
    found = benchmark.compare(shared_dir / "data", 15, None)
    assert found["heads"] == 15
    assert found["radius_mean_px"] == pytest.approx(committed["radius_mean_px"], abs=0.05)
    assert found["radius_sd_px"] < 0.1
    assert found["mean_mm"] == pytest.approx(committed["mean_mm"], abs=3 * committed["sd_mm"])


def test_a_mask_that_cannot_be_measured_is_counted(benchmark: Any, shared_dir: Path) -> None:
    def one_empty(image: Path, truth: np.ndarray) -> np.ndarray:
        return np.zeros_like(truth) if image.name.startswith("000_") else truth

    found = benchmark.compare(shared_dir / "data", 4, one_empty)
    assert (found["heads"], found["not_measured"]) == (3, 1)


def test_pixels_of_a_resized_picture_are_not_quite_square(benchmark: Any) -> None:
    row = {"spacing_mm": "0.1", "width": "512", "height": "346"}
    row |= {"original_width": "800", "original_height": "540"}
    dy, dx = benchmark.pitch(row)
    assert dx == 0.1
    assert dy == pytest.approx(0.1 * (540 / 346) / (800 / 512))
