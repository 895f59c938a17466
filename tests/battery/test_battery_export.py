"""Every model answers the same when exported, at other numbers of objects and points than were traced.

`export_network` itself compares with torch and refuses what differs, so that each test is one call.
"""

from __future__ import annotations

import pytest
from battery_cases import FAST, FULL, SMALL, cases, disturb, fresh

from uniultra.models import entry
from uniultra.models.export import export_network


def export(name, form, folder, numbers):
    """Export a model whose adapter is not at zero, small in continuous integration, at 256 px elsewhere."""
    side = SMALL if name in FAST[form] else FULL
    network = fresh(name, side)
    disturb(network)
    about = export_network(network, entry(name), folder, form)
    numbers["side"] = side
    for file, found in about["files"].items():
        numbers[f"{file.partition('.')[0]}_difference"] = found["max_abs_difference"]
        numbers[f"{file.partition('.')[0]}_megabytes"] = round((folder / file).stat().st_size / 1e6, 1)


@pytest.mark.parametrize("name", cases("torchscript"))
def test_torchscript(name, numbers, folder):
    export(name, "torchscript", folder, numbers)


@pytest.mark.parametrize("name", cases("onnx"))
def test_onnx(name, numbers, folder):
    export(name, "onnx", folder, numbers)
