"""The battery's committed outcomes, one file a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from battery_cases import parameters

FOLDER = Path(__file__).resolve().parent / "results"


def read(name: str) -> dict[str, Any]:
    """What is recorded of a model; no checks when nothing is."""
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        return {"model": name, "parameters": parameters(name), "checks": {}}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def write(name: str, check: str, outcome: str, seconds: float, numbers: dict[str, Any]) -> None:
    """Record one check; what was recorded of another network of this name goes."""
    found = read(name)
    if found["parameters"] != parameters(name):
        found = {"model": name, "parameters": parameters(name), "checks": {}}
    found["checks"][check] = {
        "outcome": outcome,
        "seconds": round(seconds, 1),
        "torch": torch.__version__.partition("+")[0],
        **{
            key: float(f"{value:.3g}") if isinstance(value, float) else value
            for key, value in numbers.items()
        },
    }
    found["checks"] = dict(sorted(found["checks"].items()))
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
