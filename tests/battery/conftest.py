"""The battery: the same checks over every registered model.

What is too slow for continuous integration carries the slow marker, and its outcome is committed in
`results/`. To renew it: `pytest tests/battery -m "slow or not slow" --record`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent

_REPORT = pytest.StashKey[pytest.TestReport]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help="write the battery's outcomes into its results/")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    report = yield
    if report.when == "call":
        item.stash[_REPORT] = report
    return report


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose gigabytes go with the test."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.fixture
def numbers(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """What a check measured; with `--record` it is written down with the check's outcome."""
    found: dict[str, Any] = {}
    yield found
    # Known only when this folder was named on the command line.
    if request.config.getoption("--record", default=False):
        from battery_results import write

        report = request.node.stash[_REPORT]
        check = request.node.originalname.removeprefix("test_")
        write(request.node.callspec.params["name"], check, report.outcome, report.duration, found)
