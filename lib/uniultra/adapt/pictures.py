"""Labelled pictures of a campaign as training samples."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uniultra.adapt.settings import LABELS, SCENES
from uniultra.datasets.samples import SMALLEST, Preparation, Sample, pack, synthetic_sample
from uniultra.prompts.coordinates import Fit
from uniultra.prompts.simulation.clicks_boxes import components
from uniultra.prompts.types import Mask
from uniultra.synthesis.pseudo_objects import pseudo_objects


@dataclass(frozen=True, eq=False)
class Labelled:
    """A picture with the mask of one structure.

    Attributes:
        picture: `(H,W)` or `(H,W,3)` uint8.
        mask: `(H,W)` bool, may be empty; each 8-connected component is a target.
        name: of the structure.
        group: the patient; never split over train and test.
    """

    picture: NDArray[np.uint8]
    mask: Mask
    name: str
    group: str


def samples_of(pictures: Sequence[Labelled], how: Preparation) -> list[Sample]:
    """One sample per picture, with the targets of all structures labelled on it."""
    together: dict[str, list[Labelled]] = {}
    for labelled in pictures:
        digest = hashlib.sha256(np.ascontiguousarray(labelled.picture).tobytes()).hexdigest()
        together.setdefault(f"{digest} {labelled.picture.shape}", []).append(labelled)
    return [_sample(structures, how) for structures in together.values()]


def _sample(structures: Sequence[Labelled], how: Preparation) -> Sample:
    size, picture = how.size, structures[0].picture
    fit = Fit(picture.shape[0], picture.shape[1], size, how.fit)
    rows, columns = fit.inner
    square = np.zeros((size, size), np.uint8)
    grey = Image.fromarray(np.ascontiguousarray(picture)).convert("L")
    square[:rows, :columns] = np.asarray(grey.resize((columns, rows), Image.Resampling.BILINEAR))
    targets: list[Mask] = []
    for labelled in structures:
        mask = np.zeros((size, size), bool)
        marked = Image.fromarray(np.ascontiguousarray(labelled.mask))
        mask[:rows, :columns] = np.asarray(marked.resize((columns, rows), Image.Resampling.NEAREST))
        targets += components(mask, SMALLEST)
    truth = np.stack(targets) if targets else np.zeros((0, size, size), bool)
    labelled_pixels = truth.any(0)
    pseudo = np.zeros((0, size, size), bool)
    if how.pseudo:
        seed = [how.seed, *hashlib.sha256(square.tobytes()).digest()[:8]]
        pseudo = pseudo_objects(square, np.random.default_rng(seed))
    # As in training from a manifest: a single click on a label means the label.
    alone = (pseudo & labelled_pixels).sum((1, 2)) <= 0.3 * pseudo.sum((1, 2))
    free = pseudo & ~labelled_pixels & alone[:, None, None]
    return Sample(
        square,
        pack(np.concatenate([truth, pseudo]), size),
        pack(np.concatenate([_clickable(truth), free]), size),
        len(truth),
        LABELS,
    )


def _clickable(truth: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Each target `(N,S,S)` without those that lie inside it: a click there means the inner one."""
    sizes, free = truth.sum((1, 2)), truth.copy()
    for n, target in enumerate(truth):
        for k, other in enumerate(truth):
            if sizes[k] < sizes[n] and (other & target).sum() > 0.5 * sizes[k]:
                free[n] &= ~other
    return free


@lru_cache(maxsize=4)
def drawn_scenes(size: int, count: int, seed: int) -> tuple[Sample, ...]:
    """Generated scenes to rehearse; cached, because the folds and the final training share them."""
    return tuple(synthetic_sample(size, [seed, n, len(SCENES)]) for n in range(count))
