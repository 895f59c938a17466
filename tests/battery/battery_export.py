"""One export as a function, so that a big one can run in a process of its own.

PyTorch keeps what it traced to TorchScript until the process ends.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from battery_cases import disturb, fresh

from uniultra.export.export import Format, export_network
from uniultra.models import entry


def exported(name: str, form: Format, side: int, folder: Path) -> dict[str, Any]:
    """Export a model whose adapter is no longer at zero; differences from torch and sizes of the files."""
    network = fresh(name, side)
    disturb(network)
    numbers: dict[str, Any] = {"side": side}
    for file, found in export_network(network, entry(name), folder, form)["files"].items():
        part = Path(file).stem
        numbers[f"{part}_difference"] = found["max_abs_difference"]
        numbers[f"{part}_megabytes"] = round((folder / file).stat().st_size / 1e6, 1)
    return numbers


def exported_apart(name: str, form: Format, side: int, folder: Path) -> dict[str, Any]:
    """`exported` in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(exported, name, form, side, folder).result()
