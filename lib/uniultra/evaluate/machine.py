"""The machine that results were measured on, for result files."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from pydantic import BaseModel

PACKAGES = ("uniultra", "torch", "torchvision", "sam2", "timm", "monai", "numpy", "scipy", "scikit-image")
_PROCESSORS = Path("/proc/cpuinfo")


def this_machine(device: torch.device) -> Machine:
    """Describe this machine with `device`: hardware types and versions, never a host or user name."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return Machine(
        processor=_processor(),
        threads=torch.get_num_threads(),
        accelerator=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        system=f"{platform.system()} {platform.machine()}",
        versions=versions,
    )


def _processor() -> str:
    if _PROCESSORS.is_file():
        for line in _PROCESSORS.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


class Machine(BaseModel, frozen=True, extra="forbid"):
    """Hardware and software of a measurement, without host or user names."""

    processor: str
    threads: int
    accelerator: str | None
    system: str
    versions: dict[str, str]
