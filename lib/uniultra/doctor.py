"""Checks of an installation for `uniultra doctor`: versions, devices, weights, and remedies."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from uniultra import __version__
from uniultra.errors import ModelError
from uniultra.models import registry
from uniultra.weights import loading


@dataclass(frozen=True)
class Finding:
    """One line of the report; `remedy` is empty when nothing is wrong."""

    subject: str
    state: str
    remedy: str = ""


def examine() -> Iterator[Finding]:
    """Check everything a working installation needs."""
    yield Finding("uniultra", __version__)
    yield Finding("python", platform.python_version())
    yield from _packages()
    yield from _devices()
    yield from _models()


def _packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    try:
        required = [Requirement(text) for text in metadata.requires("uniultra") or ()]
    except metadata.PackageNotFoundError:
        yield Finding("packages", "uniultra is not installed", "pip install -e .")
        return
    for package in required:
        if package.marker:  # of an extra
            continue
        try:
            version = metadata.version(package.name)
        except metadata.PackageNotFoundError:
            version = "missing"
        fits = version != "missing" and package.specifier.contains(version, prereleases=True)
        yield Finding(package.name, version, "" if fits else f"pip install '{package}'")


def _devices() -> Iterator[Finding]:
    try:
        import torch
        import torchvision  # noqa: F401  (a mismatched pair fails here)
    except (ImportError, RuntimeError):
        yield Finding("torch", "cannot be imported", "install the pair named in constraints.txt")
        return
    yield Finding("processor", f"{torch.get_num_threads()} threads")
    if not torch.cuda.is_available():
        yield Finding("GPU", "none; the processor is used")
    for n in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(n)
        yield Finding(f"cuda:{n}", f"{torch.cuda.get_device_name(n)}, {free >> 20} of {total >> 20} MiB free")


def _models() -> Iterator[Finding]:
    ready = 0
    for name in registry.names():
        if not loading.available(name):
            yield Finding(name, "no weights on this machine")
            continue
        try:
            _, digest = loading.load(name)
        except ModelError as error:
            yield Finding(name, "unusable", str(error))
            continue
        ready += 1
        yield Finding(name, f"ready, SHA-256 {digest[:12]}…")
    if not ready:
        yield Finding("models", "none is ready", "restore apps/uniultra/model from the release")
