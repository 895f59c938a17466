"""Feature distillation of an image encoder into a smaller one.

DSKD (UniUltra, arXiv 2511.15771, figure 2): at strides 4, 8 and 16 the student's features are matched to
the teacher's in three pairs: the blocks' outputs, the CH-Adapters' contributions, and their sum, all
projected to 256 channels by each network's own neck. SAM's encoders (LG-MedSeg, after MobileSAM) are
compared by their single embedding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import torch
import torch.distributed as dist
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from uniultra.errors import ModelError
from uniultra.models import registry
from uniultra.models.registry import ModelEntry
from uniultra.networks.network import Embedding, PromptNetwork
from uniultra.train.batches import Batch
from uniultra.train.distillation.encoder_features import ADAPTERS, Pyramid, recorded
from uniultra.train.objective import Objective
from uniultra.train.recipe import Recipe, RecipeModel
from uniultra.weights import loading

Weight = Annotated[float, Field(ge=0)]
Match = Literal["pyramid", "embedding"]


class Pairs(RecipeModel):
    """Weights of the three pairs in the loss; `whole` is the sum of the others and the neck's biases."""

    whole: Weight = 1.0
    block: Weight = 1.0
    adapter: Weight = 1.0

    @property
    def parts(self) -> bool:
        """Whether blocks and adapters are compared separately."""
        return bool(self.block or self.adapter)


class DistillSettings(RecipeModel):
    """The teacher, and the features and masks in which the student is compared with it.

    Attributes:
        model: the teacher's name in the registry.
        weights: .safetensors file or bundle of the teacher; None for the installed weights of `model`.
        image_size: side of the teacher's input in pixels; None for the student's. Pictures are prepared at
            the student's side and rescaled.
        match: `pyramid`, the three levels of a SAM2 encoder; `embedding`, SAM's single one; None chooses by
            the student's decoder.
        levels: weights of strides 4, 8 and 16 of the pyramid.
        pairs: weights of the pairs of the pyramid.
        features: weight of the feature loss beside the loss of the labels (objective `guided`).
        logits: weight of the loss between the two networks' masks (objective `guided`).
        temperature: T of the soft targets: masks are compared as sigmoid(logits / T).
    """

    what: ClassVar[str] = "distillation's settings"
    model: str
    weights: str | None = None
    image_size: int | None = Field(None, ge=32)
    match: Match | None = None
    levels: tuple[Weight, Weight, Weight] = (1.0, 1.0, 1.0)
    pairs: Pairs = Pairs()
    features: Weight = 1.0
    logits: Weight = 1.0
    temperature: float = Field(1.0, gt=0)


class TeacherObjective(Objective):
    """An objective that compares the student's features with those of a frozen teacher.

    Args:
        network: the student.
        entry: the student's registry entry.
        recipe: a recipe whose `distill` holds `DistillSettings`.
        teacher: the teacher's network; None loads the one that the settings name.

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
        if teacher is None:
            teacher = load_teacher(self.settings, self.settings.image_size or network.image_size)
        self.teacher = teacher.eval().requires_grad_(False)
        self.teacher_entry = registry.entry(self.settings.model)
        self.match = self.settings.match or ("pyramid" if _has_levels(network) else "embedding")
        if self.compares_features:
            check_comparable(self.settings, self.match, network, teacher)

    @property
    def compares_features(self) -> bool:
        """Whether features are part of the loss."""
        return True

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.teacher.eval()
        return self

    def features(
        self, network: PromptNetwork, entry: ModelEntry, pictures: Tensor
    ) -> tuple[Embedding, Pyramid]:
        """The embedding of pictures `(B,3,S,S)` in 0..1, rescaled to the network's side, and its features."""
        pictures = entry.normalise(scaled(pictures, network.image_size))
        if self.match == "embedding" or not self.compares_features:
            embedding = network.encode(pictures)
            return embedding, Pyramid((embedding.image,))
        with recorded(network.image_encoder, parts=self.settings.pairs.parts) as pyramids:
            embedding = network.encode(pictures)
        return embedding, pyramids[0]


class DistillObjective(TeacherObjective):
    """Match the student's features to a frozen teacher's, without labels and prompts.

    `score` is the negative loss of each picture. Arguments and errors as for `TeacherObjective`.
    """

    def forward(self, batch: Batch, progress: float = 0.0) -> dict[str, Tensor]:
        parts = {name: part.mean() for name, part in self._distances(batch).items()}
        share = picture_share(batch, self.recipe)
        total = share * torch.stack(list(parts.values())).sum()
        return {"loss": total, **{name: share * part.detach() for name, part in parts.items()}}

    @torch.no_grad()
    def score(self, batch: Batch) -> Tensor:
        return -torch.stack(list(self._distances(batch).values())).sum(0)

    def _distances(self, batch: Batch) -> dict[str, Tensor]:
        """The weighted mean squared difference of each pair, `(B,)`, summed over levels."""
        _, ours = self.features(self.network, self.entry, batch.pictures)
        with torch.no_grad():
            _, theirs = self.features(self.teacher, self.teacher_entry, batch.pictures)
        return differences(self.settings, self.match, ours, theirs)


def check_comparable(
    settings: DistillSettings, match: Match, student: PromptNetwork, teacher: PromptNetwork
) -> None:
    """Refuse two networks whose features cannot be compared.

    Raises:
        ModelError: one of them lacks levels or adapters, or all weights are 0.
    """
    for role, network in {"student": student, "teacher": teacher}.items():
        if match == "pyramid" and not _has_levels(network):
            raise ModelError(f"The {role} has a single embedding, no levels; set `match` to embedding.")
        if match == "pyramid" and settings.pairs.parts and not _has_adapters(network):
            raise ModelError(
                f"The {role} has no CH-Adapters to compare; choose a model with them, or set the weights "
                "of the pairs `block` and `adapter` to 0."
            )
    weighted = any(settings.levels) and any(dict(settings.pairs).values())
    if match == "pyramid" and not weighted:
        raise ModelError("All weights of the distillation are 0; give a level and a pair a weight above 0.")


def differences(settings: DistillSettings, match: Match, ours: Pyramid, theirs: Pyramid) -> dict[str, Tensor]:
    """The weighted mean squared difference of each pair, `(B,)`, summed over levels."""
    levels = settings.levels if match == "pyramid" else (1.0,)
    parts = {}
    for name, student, teacher in zip(Pyramid._fields, ours, theirs, strict=True):
        weight = getattr(settings.pairs, name) if match == "pyramid" else 1.0
        if student and weight:
            each = [w * distance(a, b) for w, a, b in zip(levels, student, teacher, strict=True) if w]
            parts[name] = weight * torch.stack(each).sum(0)
    return parts


def picture_share(batch: Batch, recipe: Recipe) -> float:
    """Factor on a part's mean with which the mean over processes is that of the whole batch.

    DDP averages over processes, whose parts of the batch may differ in size.
    """
    if dist.is_available() and dist.is_initialized():
        return len(batch.pictures) * dist.get_world_size() / recipe.batch
    return 1.0


def scaled(pictures: Tensor, side: int) -> Tensor:
    """Square pictures `(B,3,S,S)` resampled to `(B,3,side,side)`."""
    if side == pictures.shape[-1]:
        return pictures
    return F.interpolate(pictures, (side, side), mode="bilinear", antialias=True)


def distance(ours: Tensor, theirs: Tensor) -> Tensor:
    """Mean squared difference `(B,)` of features `(B,C,h,w)`; a finer `theirs` is averaged to our grid."""
    if theirs.shape[-2:] != ours.shape[-2:]:
        theirs = F.interpolate(theirs.float(), ours.shape[-2:], mode="bilinear", antialias=True)
    return (ours.float() - theirs.float()).square().flatten(1).mean(1)


def load_teacher(settings: DistillSettings, side: int | None = None) -> PromptNetwork:
    """The teacher with its weights, in eval mode, for inputs of `side` pixels (None: its own).

    Raises:
        ModelError: unknown model, or weights that are missing, damaged or of another network.
    """
    if settings.weights is None:
        return loading.load(settings.model, side)[0]
    path = Path(settings.weights)
    if path.is_dir():
        return loading.assemble(path, side, settings.model)[0]
    if not path.is_file():
        raise ModelError("The file of the teacher's weights does not exist; see `weights` in the recipe.")
    return loading.load_file(settings.model, path, side)


def _has_levels(network: PromptNetwork) -> bool:
    """Whether the decoder takes SAM2's three levels rather than SAM's single embedding."""
    return bool(network.sam_mask_decoder.use_high_res_features)


def _has_adapters(network: PromptNetwork) -> bool:
    return hasattr(getattr(network.image_encoder, "trunk", None), ADAPTERS)
