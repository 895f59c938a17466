"""Training with labels and a teacher at once: the fine-tuning stage of a distillation.

Beside the loss of the labels, the student's features are matched to the teacher's (DSKD, see
`uniultra.train.distillation.distill`) and its masks to the teacher's for the same prompts (soft targets at
a temperature, arXiv 1503.02531). The simulated annotator corrects the student's masks; the teacher gets
the same prompts, scaled to its own input side.
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
    """Interactive segmentation trained with labels and a frozen teacher.

    Further parts of the loss: `guide`, the difference of the masks, and `features`, that of the features.
    Arguments and errors as for `TeacherObjective`.
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
        """The soft loss between the student's and the teacher's masks for the same prompts."""
        fit = Fit(self.network.image_size, self.network.image_size, self.teacher.image_size)
        with torch.no_grad():
            theirs, _ = decode_by_length(
                self.teacher, hint, batch.picture, [raster.encode(p, fit) for p in prompts]
            )
        return soft_loss(logits, theirs, batch.weight, self.settings.temperature)


def soft_loss(logits: Tensor, theirs: Tensor, weight: Tensor, temperature: float) -> Tensor:
    """Weighted mean over N targets of T^2 (CE(s, t) - H(t)), s and t = sigmoid(logits / T).

    The factor T^2 keeps the size of the gradients at any temperature T; without the targets' entropy H(t)
    equal masks have loss 0.

    Args:
        logits: the student's `(N,1,g,g)`.
        theirs: the teacher's `(N,1,h,h)`; both are compared on the finer of the two grids.
        weight: `(N,)`.
        temperature: T.
    """
    side = max(logits.shape[-1], theirs.shape[-1])
    ours, target = (
        F.interpolate(mask.float(), (side, side), mode="bilinear") / temperature for mask in (logits, theirs)
    )
    soft = target.sigmoid()
    cross = F.binary_cross_entropy_with_logits(ours, soft, reduction="none")
    entropy = F.binary_cross_entropy_with_logits(target, soft, reduction="none")
    each = temperature**2 * (cross - entropy).flatten(1).mean(1)
    return weighted_mean(each, weight)
