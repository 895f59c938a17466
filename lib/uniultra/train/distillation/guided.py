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

from uniultra.models import registry
from uniultra.models.registry import ModelEntry
from uniultra.networks.network import Embedding, PromptNetwork
from uniultra.prompts import raster
from uniultra.prompts.coordinates import Fit
from uniultra.prompts.types import PromptSet
from uniultra.train.batches import Batch
from uniultra.train.distillation.distill import (
    DistillSettings,
    check,
    differences,
    load_teacher,
    match_of,
    picture_share,
    scaled,
)
from uniultra.train.distillation.encoder_features import Pyramid, tapped
from uniultra.train.objective import PromptObjective, ask
from uniultra.train.recipe import Recipe


class GuidedObjective(PromptObjective):
    """Masks from prompts and labels, with a frozen teacher beside them.

    Further parts of its loss: `guide` the masks' likeness, `features` the features'.

    Args:
        network: the student.
        entry: of the student.
        recipe: its `distill` holds `DistillSettings`.
        teacher: the teacher's network, None to load the one that the settings name.

    Raises:
        ModelError: settings that cannot be used, no weights for the teacher, or two networks whose
            features cannot be compared.
    """

    def __init__(
        self,
        network: PromptNetwork,
        entry: ModelEntry,
        recipe: Recipe,
        teacher: PromptNetwork | None = None,
    ) -> None:
        super().__init__(network, entry, recipe)
        self.settings = DistillSettings.of(recipe.distill or {})
        side = self.settings.image_size or network.image_size
        self.teacher = (load_teacher(self.settings, side) if teacher is None else teacher).eval()
        self.teacher.requires_grad_(False)
        self.teacher_entry = registry.entry(self.settings.model)
        self.match = match_of(self.settings, network)
        if self.settings.features:
            check(self.settings, self.match, network, self.teacher)
        self.weights |= {"guide": self.settings.logits} if self.settings.logits else {}

    def train(self, mode: bool = True) -> GuidedObjective:
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, batch: Batch, progress: float = 0.0) -> dict[str, Tensor]:
        embedding, ours = self._seen(self.network, self.entry.normalise(batch.pictures))
        with torch.no_grad():
            pictures = scaled(batch.pictures, self.teacher.image_size)
            hint, theirs = self._seen(self.teacher, self.teacher_entry.normalise(pictures))
        guide = partial(self._unlike, batch, hint) if self.settings.logits else None
        found = self.learn(batch, embedding, progress, guide)
        if ours is not None and theirs is not None:
            each = differences(self.settings, self.match, ours, theirs)
            part = picture_share(batch, self.recipe) * torch.stack(list(each.values())).sum(0).mean()
            found["loss"] = found["loss"] + self.settings.features * part
            found["features"] = part.detach()
        return found

    def _seen(self, network: PromptNetwork, pictures: Tensor) -> tuple[Embedding, Pyramid | None]:
        """The embedding of normalised pictures, and the features on the way to it that are compared."""
        if not self.settings.features:
            return network.encode(pictures), None
        if self.match == "embedding":
            embedding = network.encode(pictures)
            return embedding, Pyramid((embedding.image,))
        with tapped(network.image_encoder, parts=self.settings.pairs.parts) as found:
            embedding = network.encode(pictures)
        return embedding, found[0]

    def _unlike(self, batch: Batch, hint: Embedding, prompts: Sequence[PromptSet], logits: Tensor) -> Tensor:
        """How far the student's answers are from the teacher's to the same prompts."""
        fit = Fit(self.network.image_size, self.network.image_size, self.teacher.image_size)
        with torch.no_grad():
            theirs, _ = ask(self.teacher, hint, batch.picture, [raster.encode(p, fit) for p in prompts])
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
        F.interpolate(one.float(), (side, side), mode="bilinear") / temperature for one in (logits, theirs)
    )
    goal = target.sigmoid()
    cross = F.binary_cross_entropy_with_logits(ours, goal, reduction="none")
    least = F.binary_cross_entropy_with_logits(target, goal, reduction="none")
    each = temperature**2 * (cross - least).flatten(1).mean(1)
    return (each * weight).sum() / weight.sum().clamp_min(1e-6)
