"""Every model answers the same when exported, at other numbers of objects and points than were traced.

`export_network` itself compares with torch and refuses what differs, so that each test is one call: small
in continuous integration, at 256 pixels elsewhere.
"""

from __future__ import annotations

import pytest
from battery_cases import FAST, FULL, SMALL, cases
from battery_export import exported, exported_apart


@pytest.mark.parametrize("name", cases("torchscript"))
def test_torchscript(name, numbers, folder):
    export = (exported, SMALL) if name in FAST["torchscript"] else (exported_apart, FULL)
    numbers.update(export[0](name, "torchscript", export[1], folder))
    assert {path.name for path in folder.iterdir()} == {"encoder.pt", "decoder.pt", "export.json"}


@pytest.mark.parametrize("name", cases("onnx"))
def test_onnx(name, numbers, folder):
    numbers.update(exported_apart(name, "onnx", FULL, folder))
    assert {path.name for path in folder.iterdir()} == {"encoder.onnx", "decoder.onnx", "export.json"}
