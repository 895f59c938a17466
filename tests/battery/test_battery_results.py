"""What is committed of the battery covers every registered model as it is now, and all of it passed."""

from __future__ import annotations

import json

import pytest
from battery_cases import parameters, wanted
from battery_results import FOLDER

from uniultra.models import names


@pytest.mark.parametrize("name", names())
def test_every_check_of_a_model_is_on_record(name):
    path = FOLDER / f"{name}.json"
    assert path.is_file(), "run: pytest tests/battery -m 'slow or not slow' --record"
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["model"] == name
    assert found["parameters"] == parameters(name), "these results are of another network of this name"
    missing = sorted(wanted(name) - set(found["checks"]))
    assert not missing, "run: pytest tests/battery -m 'slow or not slow' --record"
    failed = [check for check, result in found["checks"].items() if result["outcome"] != "passed"]
    assert not failed


def test_nothing_is_on_record_of_models_that_are_gone():
    assert {path.stem for path in FOLDER.glob("*.json")} <= set(names())
