"""Learning without forgetting: train on new labels, distil everything else from the base network.

After Li and Hoiem (arXiv 1606.09282): the base network's answers are soft targets wherever the new labels
give none, here for prompts on generated scenes and on pseudo-objects in the labelled pictures.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from uniultra.models.registry import ModelEntry
from uniultra.networks.network import Embedding, PromptNetwork, decode_by_length
from uniultra.prompts.types import PromptSet
from uniultra.train.batches import Batch
from uniultra.train.distillation.guided import soft_loss
from uniultra.train.objective import PromptObjective
from uniultra.train.recipe import Recipe


class RehearsalObjective(PromptObjective):
    """Loss of masks from prompts, plus distillation from the base network for all unlabelled targets.

    The distillation is a further part of the loss, `guide`, see `soft_loss`.

    Args:
        network: to adapt; a copy of its current weights is the base network.
        entry, recipe: as for `PromptObjective`.
        keep: weight of the distillation; 0 for none.
        temperature: of the distillation.
    """

    def __init__(
        self,
        network: PromptNetwork,
        entry: ModelEntry,
        recipe: Recipe,
        keep: float,
        temperature: float,
    ) -> None:
        super().__init__(network, entry, recipe)
        self.keep, self.temperature = keep, temperature
        if keep:
            self.start = copy.deepcopy(network).eval().requires_grad_(False)
            self.weights |= {"guide": keep}

    def train(self, mode: bool = True) -> RehearsalObjective:
        super().train(mode)
        if self.keep:
            self.start.eval()
        return self

    def forward(self, batch: Batch, progress: float = 0.0) -> dict[str, Tensor]:
        embedding = self.encode(batch)
        places = self._rehearsed(batch)
        if not self.keep or not len(places):
            return self.learn(batch, embedding, progress)
        pictures, back = batch.picture[places].unique(return_inverse=True)
        with torch.no_grad():
            hint = self.start.encode(self.entry.normalise(batch.pictures[pictures]))

        def guide(prompts: Sequence[PromptSet], logits: Tensor) -> Tensor:
            return self._distil(batch, hint, places, back, [prompts[int(n)] for n in places], logits)

        return self.learn(batch, embedding, progress, guide)

    def _rehearsed(self, batch: Batch) -> Tensor:
        """Indices of the targets that are not campaign labels: those of scenes, and pseudo-objects."""
        number = torch.tensor(batch.numbers, device=batch.weight.device) // self.recipe.targets
        real = (number >= self.recipe.drawn) & (batch.weight != self.recipe.pseudo_weight)
        return torch.nonzero(~real & (batch.weight > 0))[:, 0]

    def _distil(
        self,
        batch: Batch,
        hint: Embedding,
        places: Tensor,
        picture: Tensor,
        prompts: Sequence[PromptSet],
        logits: Tensor,
    ) -> Tensor:
        """Distillation loss at the targets `places`, weighted by their fraction of the batch."""
        with torch.no_grad():
            before, _ = decode_by_length(self.start, hint, picture, self.encoded(prompts))
        weight = batch.weight[places]
        share = weight.sum() / batch.weight.sum().clamp_min(1e-6)
        return share * soft_loss(logits[places], before, weight, self.temperature)
