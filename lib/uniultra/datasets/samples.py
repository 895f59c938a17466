"""Training pictures with their targets, from a manifest of data sets and from the scene generator."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from uniultra.datasets.manifest import Row
from uniultra.prompts.coordinates import Fit
from uniultra.prompts.simulation.clicks_boxes import components
from uniultra.synthesis.pseudo_objects import pseudo_objects
from uniultra.synthesis.scene import scene

SMALLEST = 12  # pixels of a component that is a target


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture `(S,S)` uint8 with packed targets.

    Attributes:
        targets: `(N,S*S/8)` uint8, `np.packbits` of N masks.
        clickable: likewise, the part of each target where a lone click refers to it; may be empty.
        labelled: number of labels; they come first among the targets, before pseudo-objects.
        dataset: name of the data set, `synthetic` for generated scenes.
    """

    picture: NDArray[np.uint8]
    targets: NDArray[np.uint8]
    clickable: NDArray[np.uint8]
    labelled: int
    dataset: str

    def masks(self, index: Sequence[int]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Targets and their clickable parts, each `(len(index),S,S)` bool."""
        shape = (len(index), *self.picture.shape)
        return (
            np.unpackbits(self.targets[index], axis=1).reshape(shape).astype(bool),
            np.unpackbits(self.clickable[index], axis=1).reshape(shape).astype(bool),
        )


def pack(masks: NDArray[np.bool_], size: int) -> NDArray[np.uint8]:
    """Masks `(N,S,S)` packed to `(N,S*S/8)` uint8, as in `Sample`."""
    return np.packbits(masks.reshape(len(masks), size * size), axis=1)


@dataclass(frozen=True)
class Preparation:
    """Settings that turn pictures into samples.

    Attributes:
        size: side of the square sample in pixels.
        fit: `squash` resamples a picture to the square, `pad` keeps its aspect ratio and pads with black.
        whole: one target, the whole mask, which may be empty, instead of one per connected component.
        pseudo: add pseudo-objects as further targets.
        seed: seed of the pseudo-objects.
    """

    size: int
    fit: Literal["squash", "pad"] = "squash"
    whole: bool = False
    pseudo: bool = True
    seed: int = 0


def real_sample(row: Row, how: Preparation) -> Sample:
    """A labelled picture as a square sample: its labels as targets, then pseudo-objects.

    A pseudo-object of which more than 30 % overlaps a label is never prompted with a lone click: there a
    person would mean the label.
    """
    size = how.size
    picture, labels = np.zeros((size, size), np.uint8), np.zeros((size, size), bool)
    with Image.open(row.image) as opened, Image.open(row.mask) as mask:
        rows, columns = Fit(opened.height, opened.width, size, how.fit).inner
        grey = opened.convert("L").resize((columns, rows), Image.Resampling.BILINEAR)
        marked = mask.convert("1").resize((columns, rows), Image.Resampling.NEAREST)
    picture[:rows, :columns], labels[:rows, :columns] = np.asarray(grey), np.asarray(marked)
    real = [labels] if how.whole else components(labels, SMALLEST)
    truth = np.stack(real) if real else np.zeros((0, size, size), bool)
    pseudo = np.zeros((0, size, size), bool)
    if how.pseudo:
        pseudo = pseudo_objects(picture, np.random.default_rng([how.seed, *row.id.encode()]))
    alone = (pseudo & labels).sum((1, 2)) <= 0.3 * pseudo.sum((1, 2))
    free = pseudo & ~labels & alone[:, None, None]
    return Sample(
        picture,
        pack(np.concatenate([truth, pseudo]), size),
        pack(np.concatenate([truth, free]), size),
        len(real),
        row.dataset,
    )


def synthetic_sample(size: int, seed: int | Sequence[int]) -> Sample:
    """A generated scene; equal seeds give equal scenes."""
    drawn = scene(np.random.default_rng(seed), size)
    return Sample(
        drawn.picture,
        pack(drawn.targets, size),
        pack(drawn.clickable, size),
        len(drawn.targets),
        "synthetic",
    )


def pool(rows: Sequence[Row], scenes: int, how: Preparation, *, workers: int = 2) -> list[Sample]:
    """Prepare every row, in order, and then `scenes` generated pictures, in parallel."""
    with ProcessPoolExecutor(workers) as processes:
        real = processes.map(partial(real_sample, how=how), rows, chunksize=8)
        first = how.seed * 1_000_003
        drawn = processes.map(partial(synthetic_sample, how.size), range(first, first + scenes), chunksize=16)
        jobs: Iterator[Sample] = (sample for part in (real, drawn) for sample in part)
        quiet = os.environ.get("RANK", "0") != "0"  # one progress bar for all processes of torchrun
        return list(tqdm(jobs, total=len(rows) + scenes, desc="preparing pictures", disable=quiet))
