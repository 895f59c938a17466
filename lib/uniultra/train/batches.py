"""Batches drawn from (seed, step) alone, so that a run can go on anywhere and over any number of processes.

Each picture of a batch has its own random numbers, and so has each prompt. A process that takes a part
of a batch therefore gets exactly what it would have got within the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from uniultra.datasets.samples import Sample, synthetic_sample
from uniultra.errors import ModelError
from uniultra.prompts.simulation.protocols import PROTOCOLS, PromptProtocol
from uniultra.prompts.types import PromptSet
from uniultra.synthesis.implants import implant
from uniultra.train.augment import DEFAULT, Augmentation, views
from uniultra.train.recipe import Recipe

SMALLEST = 16  # pixels a component must keep after augmentation
VALIDATION = 2**31  # a "step" that no training has
Drawn = tuple[Tensor, Tensor, Tensor, list[float]]


@dataclass(frozen=True, eq=False)
class Batch:
    """B pictures with N targets, as one process sees them.

    Attributes:
        key: seed and step.
        pictures: `(B,3,S,S)` in 0..1, not normalised.
        masks: `(N,S,S)` bool, what the prompts are for.
        truth: `(N,1,S/2,S/2)` in 0..1.
        weight: `(N,)`, zero for a target that only fills a place.
        picture: `(N,)`, which picture each target is on.
        numbers: of each target within the batch of all processes.
        prompts: the first of each target; empty where the objective needs none.
        share: factor on the loss that makes the mean over processes that of the whole batch.
    """

    key: tuple[int, int]
    pictures: Tensor
    masks: NDArray[np.bool_]
    truth: Tensor
    weight: Tensor
    picture: Tensor
    numbers: tuple[int, ...]
    prompts: tuple[PromptSet, ...] = ()
    share: float = 1.0

    def rng(self, n: int, turn: int) -> np.random.Generator:
        """Random numbers of the n-th target's prompt of `turn`, the same in whichever process it is."""
        return np.random.default_rng([*self.key, self.numbers[n], turn])

    def shared(self, share: float) -> Batch:
        """The same with another factor on its loss."""
        return replace(self, share=share)

    def to(self, device: torch.device | str) -> Batch:
        """The same with its tensors on `device`."""
        names = ("pictures", "truth", "weight", "picture")
        return replace(self, **{name: getattr(self, name).to(device, non_blocking=True) for name in names})


class Batches(Dataset[Batch]):
    """The part of process `rank` of `world` of every step's batch.

    Args:
        samples: pictures with targets.
        recipe: shares, sizes and the seed.
        prompted: draw the first prompts too.
    """

    def __init__(
        self, samples: Sequence[Sample], recipe: Recipe, *, prompted: bool, rank: int = 0, world: int = 1
    ) -> None:
        self.samples, self.recipe = samples, recipe
        self.protocol = protocol_of(recipe) if prompted else None
        self.mine = [int(n) for n in np.array_split(np.arange(recipe.batch), world)[rank]]
        self.side = samples[0].picture.shape[0]
        self.by_set: dict[str, list[int]] = {}
        for n, sample in enumerate(samples):
            if len(sample.targets):
                self.by_set.setdefault(sample.dataset, []).append(n)
        shares = {name: share for name, share in recipe.datasets.items() if name in self.by_set}
        self.names = list(shares)
        self.shares = np.asarray(list(shares.values())) / sum(shares.values())

    def __getitem__(self, step: int) -> Batch:
        drawn = [self._picture(step, n) for n in self.mine]
        return assemble(drawn, self.mine, (self.recipe.seed, step), self.recipe, self.protocol)

    def _picture(self, step: int, number: int) -> Drawn:
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, step, number])
        sample = self._sample(number, rng)
        painted = None
        if number >= recipe.drawn and recipe.implants and rng.random() < recipe.implants:
            taken = sample.masks(range(sample.labelled))[0].any(0)
            grey, painted = implant(rng, sample.picture, taken)
            sample = replace(sample, picture=grey)
        index = pick_targets(sample, recipe.targets - (painted is not None), rng)
        weights = [1.0 if i < sample.labelled else recipe.pseudo_weight for i in index]
        picture, targets, clickable = _tensors(sample, index)
        if painted is not None:
            weights.append(1.0)
            extra = torch.from_numpy(painted).float()[None]
            targets, clickable = (torch.cat([part * (1 - extra), extra]) for part in (targets, clickable))
        if not recipe.augment:
            return picture.expand(3, -1, -1), targets, clickable, weights
        settings = recipe.augment if isinstance(recipe.augment, Augmentation) else DEFAULT
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        seen, both = views(picture[None], torch.cat([targets, clickable])[None], generator, settings)
        return seen[0], both[0, : len(weights)], both[0, len(weights) :], weights

    def _sample(self, number: int, rng: np.random.Generator) -> Sample:
        """What picture `number` of a batch is made of."""
        if number < self.recipe.drawn and "synthetic" not in self.by_set:
            return synthetic_sample(self.side, [int(n) for n in rng.integers(2**31, size=4)])
        name = "synthetic"
        if number >= self.recipe.drawn:
            name = self.names[rng.choice(len(self.names), p=self.shares)]
        return self.samples[self.by_set[name][rng.integers(len(self.by_set[name]))]]


def validation(samples: Sequence[Sample], recipe: Recipe, *, prompted: bool) -> Iterator[Batch]:
    """The labelled targets of `samples` as they are, each with the same prompt every time."""
    protocol = protocol_of(recipe) if prompted else None
    usable = [sample for sample in samples if sample.labelled][: recipe.validate_images]
    for start in range(0, len(usable), recipe.batch):
        part = usable[start : start + recipe.batch]
        drawn: list[Drawn] = []
        for sample in part:
            index = list(range(min(recipe.targets, sample.labelled)))
            picture, targets, clickable = _tensors(sample, index)
            drawn.append((picture.expand(3, -1, -1), targets, clickable, [1.0] * len(index)))
        numbers = list(range(start, start + len(part)))
        yield assemble(drawn, numbers, (recipe.split_seed, VALIDATION), recipe, protocol)


def assemble(
    drawn: Sequence[Drawn],
    numbers: Sequence[int],
    key: tuple[int, int],
    recipe: Recipe,
    protocol: PromptProtocol | None,
) -> Batch:
    """One batch of pictures, each with its targets, clickable parts and weights.

    A component that augmentation pushed off its picture is left out; a part of a batch that has none
    left keeps a blank one of no weight, because every process must take every step.
    """
    whole = recipe.target == "whole"
    truth, masks, clicks, weight, picture, places = [], [], [], [], [], []
    for place, (_, targets, clickable, weights) in enumerate(drawn):
        for k, target in enumerate(targets):
            mask = (target > 0.5).numpy()
            if not whole and mask.sum() < SMALLEST:
                continue
            truth.append(target)
            masks.append(mask)
            clicks.append((clickable[k] > 0.5).numpy())
            weight.append(weights[k])
            picture.append(place)
            places.append(numbers[place] * recipe.targets + k)
    if not truth:
        blank = torch.zeros_like(drawn[0][0][0])
        blank[: len(blank) // 2] = 1
        truth, masks, clicks = [blank], [blank.bool().numpy()], [blank.bool().numpy()]
        weight, picture, places = [0.0], [0], [numbers[0] * recipe.targets]
    batch = Batch(
        key,
        torch.stack([one[0] for one in drawn]),
        np.stack(masks),
        F.interpolate(torch.stack(truth)[:, None], scale_factor=0.5, mode="area"),
        torch.tensor(weight),
        torch.tensor(picture),
        tuple(places),
    )
    if protocol is None:
        return batch
    first = [protocol.first(masks[n], clicks[n], batch.rng(n, 0)) for n in range(len(masks))]
    return replace(batch, prompts=tuple(first))


def protocol_of(recipe: Recipe) -> PromptProtocol:
    """The recipe's simulated annotator.

    Raises:
        ModelError: there is none of that name.
    """
    if recipe.prompts not in PROTOCOLS:
        raise ModelError(f"Unknown prompts; expected one of {', '.join(PROTOCOLS)}.")
    found = PROTOCOLS[recipe.prompts]
    return found if recipe.turns is None else replace(found, turns=recipe.turns)


def pick_targets(sample: Sample, count: int, rng: np.random.Generator) -> list[int]:
    """Up to `count` targets of a sample; one or two labels first when there are any."""
    labels = rng.permutation(sample.labelled)
    pseudo = sample.labelled + rng.permutation(len(sample.targets) - sample.labelled)
    if len(pseudo):
        labels = labels[: rng.integers(1, 3)]
    return [int(n) for n in (*labels, *pseudo)][:count]


def _tensors(sample: Sample, index: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Picture `(1,S,S)` in 0..1, targets and clickable parts `(len(index),S,S)` float."""
    targets, clickable = sample.masks(index)
    picture = torch.from_numpy(sample.picture.astype(np.float32) / 255)[None]
    return picture, torch.from_numpy(targets).float(), torch.from_numpy(clickable).float()
