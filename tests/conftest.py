"""Fixtures shared by every room's tests."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from uniultra.synthesis.scene import scene
from uniultra.train.recipe import Recipe

ROOT = Path(__file__).resolve().parents[1]
SLOWEST = 40


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make durations` renews tests/durations.csv with this option."""
    parser.addoption("--record-durations", metavar="FILE", help=f"write the {SLOWEST} slowest tests as CSV")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the slowest tests, their fixtures included, the slowest first."""
    file = config.getoption("--record-durations")
    if not file:
        return
    seconds: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid] += report.duration
    with Path(file).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["test", "seconds"])
        writer.writerows((test, f"{spent:.1f}") for test, spent in seconds.most_common(SLOWEST))


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The folder that holds setup.cfg."""
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of openly licensed ultrasound beside the project; tests that need it skip without it."""
    folder = ROOT.parent / "shared"
    if not (folder / "dicom").is_dir():
        pytest.skip("the shared ultrasound data (../shared) is not on this machine")
    return folder


@pytest.fixture(scope="session")
def training_data(tmp_path_factory: pytest.TempPathFactory):
    """Sets of generated pictures in the layout of a manifest: `tiny` with all splits, `organ` to measure."""
    folder = tmp_path_factory.mktemp("training_data")
    parts = [("tiny", "train")] * 4 + [("tiny", "val")] + [("tiny", "test")] + [("organ", "test")] * 10
    lines = ["dataset,id,split,group,image,mask"]
    for n, (dataset, split) in enumerate(parts):
        drawn = scene(np.random.default_rng(100 + n), 128)
        Image.fromarray(drawn.picture).save(folder / f"{n}.png")
        Image.fromarray(drawn.targets[:2].any(0)).save(folder / f"{n}_mask.png")
        lines.append(f"{dataset},{n},{split},patient{n // 2},{n}.png,{n}_mask.png")
    (folder / "manifest.csv").write_text("\n".join(lines), "utf-8")
    return folder


@pytest.fixture
def small():
    """Makes a recipe that takes seconds; keywords change it."""

    def make(**changes):
        values = {
            "model": "uniultra_mini",
            "datasets": {"tiny": 1.0},
            "steps": 6,
            "batch": 2,
            "targets": 1,
            "image_size": 64,
            "prompts": "uniultra",
            "optimizer": {"rate": 1e-3, "decay": 0.01, "schedule": "linear", "tail": 0.5},
            "validate_every": None,
            "checkpoint_every": 1000,
        }
        return Recipe.of(values | changes)

    return make


@pytest.fixture
def one_thread():
    """The number of threads is part of what makes two runs equal to the bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
