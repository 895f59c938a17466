"""Batches drawn from (seed, step) alone, so that a run can be resumed at any step by any number of processes.

Each picture of a batch has its own random numbers, and so has each prompt. A process that draws a part of
a batch therefore gets exactly that part of the whole batch.
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
VALIDATION = 2**31  # the "step" that seeds validation's prompts; no training gets that far
Drawn = tuple[Tensor, Tensor, Tensor, list[float]]  # picture, targets, clickable parts, weights


@dataclass(frozen=True, eq=False)
class Batch:
    """B pictures with N targets: one process's part of a step's batch.

    Attributes:
        key: seed and step.
        pictures: `(B,3,S,S)` in 0..1, not normalised.
        masks: `(N,S,S)` bool, the masks that prompts are simulated for.
        truth: `(N,1,S/2,S/2)` in 0..1, the masks at half the side, for the loss.
        weight: `(N,)`, weights of the targets in the loss; 0 for a placeholder.
        picture: `(N,)`, index of each target's picture.
        numbers: number of each target within the batch of all processes.
        prompts: first prompt of each target; empty where the objective needs none.
        share: factor on the loss with which the mean over processes is that of the whole batch.
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
        """Random numbers of the n-th target's prompt of `turn`, the same in any process."""
        return np.random.default_rng([*self.key, self.numbers[n], turn])

    def to(self, device: torch.device | str) -> Batch:
        """The batch with its tensors on `device`."""
        names = ("pictures", "truth", "weight", "picture")
        return replace(self, **{name: getattr(self, name).to(device, non_blocking=True) for name in names})


class Batches(Dataset[Batch]):
    """The batches of all steps, by step: the part of process `rank` of `world` processes.

    Args:
        samples: pictures with targets.
        recipe: weights of the data sets, sizes and the seed.
        prompted: simulate the first prompts too.
    """

    def __init__(
        self, samples: Sequence[Sample], recipe: Recipe, *, prompted: bool, rank: int = 0, world: int = 1
    ) -> None:
        self.samples, self.recipe = samples, recipe
        self.protocol = protocol_of(recipe) if prompted else None
        self.numbers = [int(n) for n in np.array_split(np.arange(recipe.batch), world)[rank]]
        self.side = samples[0].picture.shape[0]
        self.by_set: dict[str, list[int]] = {}
        for n, sample in enumerate(samples):
            if len(sample.targets):
                self.by_set.setdefault(sample.dataset, []).append(n)
        shares = {name: share for name, share in recipe.datasets.items() if name in self.by_set}
        self.names = list(shares)
        self.shares = np.asarray(list(shares.values())) / sum(shares.values())

    def __getitem__(self, step: int) -> Batch:
        drawn = [self._picture(step, n) for n in self.numbers]
        return assemble(drawn, self.numbers, (self.recipe.seed, step), self.recipe, self.protocol)

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
        """The sample of picture `number` of a batch."""
        if number < self.recipe.drawn and "synthetic" not in self.by_set:
            return synthetic_sample(self.side, [int(n) for n in rng.integers(2**31, size=4)])
        name = "synthetic"
        if number >= self.recipe.drawn:
            name = self.names[rng.choice(len(self.names), p=self.shares)]
        return self.samples[self.by_set[name][rng.integers(len(self.by_set[name]))]]


def validation(samples: Sequence[Sample], recipe: Recipe, *, prompted: bool) -> Iterator[Batch]:
    """Batches of the labelled targets of `samples`, not augmented, with the same prompts every time."""
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
    """A batch of pictures, each with its targets, clickable parts and weights.

    Components that augmentation moved off their picture are dropped. If no target is left, a placeholder of
    weight 0 takes their place, because every process must take every step.
    """
    whole = recipe.target == "whole"
    truth, masks, clicks, weight, on, numbered = [], [], [], [], [], []
    for place, (_, targets, clickable, weights) in enumerate(drawn):
        for k, target in enumerate(targets):
            mask = (target > 0.5).numpy()
            if not whole and mask.sum() < SMALLEST:
                continue
            truth.append(target)
            masks.append(mask)
            clicks.append((clickable[k] > 0.5).numpy())
            weight.append(weights[k])
            on.append(place)
            numbered.append(numbers[place] * recipe.targets + k)
    if not truth:
        blank = torch.zeros_like(drawn[0][0][0])
        blank[: len(blank) // 2] = 1
        truth, masks, clicks = [blank], [blank.bool().numpy()], [blank.bool().numpy()]
        weight, on, numbered = [0.0], [0], [numbers[0] * recipe.targets]
    batch = Batch(
        key,
        torch.stack([picture for picture, *_ in drawn]),
        np.stack(masks),
        F.interpolate(torch.stack(truth)[:, None], scale_factor=0.5, mode="area"),
        torch.tensor(weight),
        torch.tensor(on),
        tuple(numbered),
    )
    if protocol is None:
        return batch
    first = [protocol.first(masks[n], clicks[n], batch.rng(n, 0)) for n in range(len(masks))]
    return replace(batch, prompts=tuple(first))


def protocol_of(recipe: Recipe) -> PromptProtocol:
    """The recipe's simulated annotator.

    Raises:
        ModelError: unknown protocol.
    """
    if recipe.prompts not in PROTOCOLS:
        raise ModelError(f"Unknown prompts; expected one of {', '.join(PROTOCOLS)}.")
    protocol = PROTOCOLS[recipe.prompts]
    return protocol if recipe.turns is None else replace(protocol, turns=recipe.turns)


def pick_targets(sample: Sample, count: int, rng: np.random.Generator) -> list[int]:
    """Indices of up to `count` random targets of a sample, labels first.

    Where the sample has pseudo-objects too, one or two labels leave room for them.
    """
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
