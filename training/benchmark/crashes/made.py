"""Generated campaigns: pictures, and masks of which no two are alike."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image

from uniultra.adapt.settings import FitSettings

SIDE = 48
# So small that a training takes seconds, and so bold that it passes the gate from random weights.
TINY = FitSettings(
    steps=12, batch=2, targets=1, scenes=2, rate=3e-3, warmup=0, pseudo=False, prompts="samus", average=None
)


def pictures(studies: Path, count: int, seed: int = 0) -> list[str]:
    """Write pictures of a bright core in a grey ring on speckle; their ids."""
    studies.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        rng = np.random.default_rng([seed, n])
        away = distance(n, seed)
        grey = np.where(away < 0.1 * SIDE, 220, np.where(away < 0.25 * SIDE, 130, 40)).astype(float)
        picture = np.clip(grey * rng.rayleigh(0.8, grey.shape), 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(studies / f"image{n:03}.png")
    return [f"image{n:03}" for n in range(count)]


def distance(n: int, seed: int = 0) -> np.ndarray:
    """Distance `(SIDE,SIDE)` in pixels from the middle of the structure on picture `n`."""
    y, x = np.mgrid[:SIDE, :SIDE]
    cy, cx = np.random.default_rng([seed, n, 1]).uniform(0.4 * SIDE, 0.6 * SIDE, 2)
    return np.hypot(y - cy, x - cx)


def mask(n: int, key: tuple[int, ...], seed: int = 0) -> bytes:
    """A PNG: the structure on picture `n`, with `key` written as a code into its first row."""
    found = (distance(n, seed) < 0.25 * SIDE).astype(np.uint8)
    code = int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[: SIDE // 8])
    found[0] = [code >> bit & 1 for bit in range(SIDE)]
    packed = io.BytesIO()
    Image.fromarray(found).save(packed, "png")
    return packed.getvalue()


def sha256(data: bytes) -> str:
    """Hex digest."""
    return hashlib.sha256(data).hexdigest()


def small_weights(folder: Path, side: int = 64, *, blank: bool = False) -> None:
    """Random weights of the default model for a small input in `folder`; `blank` ones find nothing yet."""
    import torch

    from uniultra.models import build
    from uniultra.weights import tensors

    torch.manual_seed(3)
    network = build("uniultra_mini", side)
    if blank:
        for layers in network.sam_mask_decoder.output_hypernetworks_mlps:
            for parameter in layers.layers[-1].parameters():
                torch.nn.init.zeros_(parameter)
    tensors.save(folder / "uniultra_mini.safetensors", network, {})
