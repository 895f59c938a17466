"""A campaign of generated pictures for tests of the training on its labels."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from factories import training_label
from PIL import Image

from uniultra.adapt.pictures import Labelled
from uniultra.adapt.settings import FitSettings
from uniultra.store.types import TrainingLabel

TINY = FitSettings(
    steps=4, batch=2, targets=1, scenes=4, rate=1e-3, warmup=0, pseudo=False, prompts="samus", average=None
)


def ring(seed: int, side: int = 96) -> Labelled:
    """A bright core in a grey ring on speckle; the structure is core and ring together."""
    rng = np.random.default_rng([seed, 11])
    y, x = np.mgrid[:side, :side]
    cy, cx = rng.uniform(0.4 * side, 0.6 * side, 2)
    core = rng.uniform(0.09, 0.12) * side
    away = np.hypot(y - cy, x - cx)
    grey = np.where(away < core, 220, np.where(away < 2.4 * core, 130, 40)).astype(float)
    picture = np.clip(grey * rng.rayleigh(0.8, grey.shape), 0, 255).astype(np.uint8)
    return Labelled(picture, away < 2.4 * core, "target", f"patient {seed}")


def make_campaign(studies: Path, count: int) -> list[TrainingLabel]:
    """Images and labels of `count` patients in a studies folder, as the label store would name them."""
    labels = []
    (studies / "versions").mkdir(parents=True)
    for n in range(count):
        one = ring(n)
        Image.fromarray(one.picture).save(studies / f"image{n}.png")
        file = studies / "versions" / f"image{n}.png"
        Image.fromarray(one.mask.astype(np.uint8)).save(file)
        group = hashlib.sha256(one.group.encode()).hexdigest()
        labels.append(
            training_label(
                studies, f"image{n}.png", f"versions/image{n}.png", names={1: "target"}, group=group
            )
        )
    return labels
