"""Training with labels and a teacher at once: the joint fine-tune of a distillation.

Beside the loss of the labels, the student's features are drawn to the teacher's (DSKD, see
`uniultra.train.distillation.distill`) and its masks to those the teacher gives for the same prompts
(soft targets at a temperature, arXiv 1503.02531). The prompts are the annotator's of the student: the
teacher is asked what the student is asked, at its own input side.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from uniultra.models.registry import ModelEntry
from uniultra.networks.network import Embedding, PromptNetwork, decode_by_length
from uniultra.prompts import raster
from uniultra.prompts.coordinates import Fit
from uniultra.prompts.types import PromptSet
from uniultra.train.batches import Batch
from uniultra.train.distillation.distill import TeacherObjective, differences, picture_share
from uniultra.train.losses import weighted_mean
from uniultra.train.objective import PromptObjective
from uniultra.train.recipe import Recipe


class GuidedObjective(TeacherObjective, PromptObjective):
    """Masks from prompts and labels, with a frozen teacher beside them.

    Further parts of its loss: `guide` the masks' likeness, `features` the features'. Arguments and errors
    as for `TeacherObjective`.
    """

    def __init__(
        self,
        network: PromptNetwork,
        entry: ModelEntry,
        recipe: Recipe,
        teacher: PromptNetwork | None = None,
    ) -> None:
        super().__init__(network, entry, recipe, teacher)
        self.weights |= {"guide": self.settings.logits} if self.settings.logits else {}

    @property
    def compares_features(self) -> bool:
        return bool(self.settings.features)

    def forward(self, batch: Batch, progress: float = 0.0) -> dict[str, Tensor]:
        embedding, ours = self.features(self.network, self.entry, batch.pictures)
        with torch.no_grad():
            hint, theirs = self.features(self.teacher, self.teacher_entry, batch.pictures)
        guide = partial(self._unlike, batch, hint) if self.settings.logits else None
        parts = self.learn(batch, embedding, progress, guide)
        if self.compares_features:
            each = differences(self.settings, self.match, ours, theirs)
            part = picture_share(batch, self.recipe) * torch.stack(list(each.values())).sum(0).mean()
            parts["loss"] = parts["loss"] + self.settings.features * part
            parts["features"] = part.detach()
        return parts

    def _unlike(self, batch: Batch, hint: Embedding, prompts: Sequence[PromptSet], logits: Tensor) -> Tensor:
        """How far the student's answers are from the teacher's to the same prompts."""
        fit = Fit(self.network.image_size, self.network.image_size, self.teacher.image_size)
        with torch.no_grad():
            theirs, _ = decode_by_length(
                self.teacher, hint, batch.picture, [raster.encode(p, fit) for p in prompts]
            )
        return soft_loss(logits, theirs, batch.weight, self.settings.temperature)


def soft_loss(logits: Tensor, theirs: Tensor, weight: Tensor, temperature: float) -> Tensor:
    """Weighted mean over N targets of the cross-entropy with another network's probabilities.

    At a temperature T both are softened, and the loss is multiplied by T^2, which keeps its gradients.
    What even equal masks would cost, the entropy of the targets, is taken off.

    Args:
        logits: `(N,1,g,g)`.
        theirs: `(N,1,h,h)`; both are compared on the finer of the two grids.
        weight: `(N,)`.
        temperature: T.
    """
    side = max(logits.shape[-1], theirs.shape[-1])
    ours, target = (
        F.interpolate(mask.float(), (side, side), mode="bilinear") / temperature for mask in (logits, theirs)
    )
    goal = target.sigmoid()
    cross = F.binary_cross_entropy_with_logits(ours, goal, reduction="none")
    least = F.binary_cross_entropy_with_logits(target, goal, reduction="none")
    each = temperature**2 * (cross - least).flatten(1).mean(1)
    return weighted_mean(each, weight)
