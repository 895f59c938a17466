"""Random weights of a small input for the default model, and bundles over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from uniultra.models import build
from uniultra.weights import bundle, loading, tensors

MODEL = "uniultra_mini"


def own_weights(
    folder: Path, seed: int = 0, side: int | None = 64, names: tuple[str, ...] = (MODEL,)
) -> None:
    """Write random weights into a weights folder, other ones under each name."""
    for n, name in enumerate(names):
        torch.manual_seed(seed + n)
        tensors.save(folder / f"{name}.safetensors", build(MODEL, side), {})


def changed_bundle(
    folder: Path, seed: int, trains: tuple[str, ...] = ("",), by: float = 0.05, **changes: Any
) -> Path:
    """A bundle over the model's own weights, whose trained numbers are shifted at random."""
    network, digest = loading.load(MODEL)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in bundle.trained_tensors(MODEL, network, trains).values():
            if value.is_floating_point():
                value.add_(by * torch.randn(value.shape, generator=generator))
    bundle.save(folder, network, MODEL, **{"over": (digest, trains), **changes})
    return folder
