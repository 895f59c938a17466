"""What one click costs, with a real network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from in_process import infer


def test_a_warm_click_asks_the_disk_once_for_the_weights_and_once_for_the_published_adapter(
    tasks: Any, tasks_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    click = {"foreground": [[40, 30, 0]], "result": "packed"}
    assert infer(tasks, "uniultra_mini", "grey", **click).status_code == 200
    asked, real = [], os.stat

    def noted(path: Any, *args: Any, **named: Any) -> os.stat_result:
        asked.append(str(path))
        return real(path, *args, **named)

    monkeypatch.setattr(os, "stat", noted)
    assert infer(tasks, "uniultra_mini", "grey", **click).status_code == 200
    assert [path for path in asked if Path(path).is_relative_to(tasks_folder)] == [
        str(tasks_folder / "uniultra_mini.safetensors")
    ]
    assert sum(path.endswith("current.json") for path in asked) == 1
