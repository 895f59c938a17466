"""Distillation of an image encoder into a smaller one, by features alone.

DSKD (UniUltra, arXiv 2511.15771, figure 2): at strides 4, 8 and 16 the student's features are drawn to
the teacher's in three pairs, what the blocks say, what the CH-Adapters add, and their sum, all projected
to 256 channels by each network's own neck. For SAM's encoders (LG-MedSeg, after MobileSAM) it is the one
embedding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import torch.distributed as dist
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor
from torch.nn import functional as F

from uniultra.errors import ModelError
from uniultra.models import registry
from uniultra.models.registry import ModelEntry
from uniultra.networks.network import PromptNetwork
from uniultra.train.batches import Batch
from uniultra.train.distillation.encoder_features import ADAPTERS, Pyramid, pyramid
from uniultra.train.objective import Objective
from uniultra.train.recipe import Recipe
from uniultra.weights import loading

Weight = Annotated[float, Field(ge=0)]
Match = Literal["pyramid", "embedding"]


class Pairs(BaseModel):
    """Weights of the three pairs; `whole` is the sum of the others and the neck's biases."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    whole: Weight = 1.0
    block: Weight = 1.0
    adapter: Weight = 1.0

    @property
    def parts(self) -> bool:
        """Whether blocks and adapters are looked at apart."""
        return bool(self.block or self.adapter)


class DistillSettings(BaseModel):
    """What is learnt from whom.

    Attributes:
        model: the teacher's name in the registry.
        weights: its .safetensors file or bundle; None for those on this machine.
        image_size: side of the teacher's input; None for the student's. Pictures come at the student's
            side and are scaled.
        match: `pyramid` three levels of a SAM2 encoder, `embedding` SAM's one; None by the decoder.
        levels: weights of strides 4, 8 and 16 in the pyramid.
        pairs: weights of the pairs in the pyramid.
        features, logits: with labels (objective `guided`), weights of the features' and of the masks'
            likeness beside the loss of the labels.
        temperature: masks are compared by their logits divided by it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    weights: str | None = None
    image_size: int | None = Field(None, ge=32)
    match: Match | None = None
    levels: tuple[Weight, Weight, Weight] = (1.0, 1.0, 1.0)
    pairs: Pairs = Pairs()
    features: Weight = 1.0
    logits: Weight = 1.0
    temperature: float = Field(1.0, gt=0)

    @classmethod
    def of(cls, values: Any) -> DistillSettings:
        """Settings of plain values, as YAML gives them.

        Raises:
            ModelError: unknown, missing or impossible settings.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:4])
            raise ModelError(f"The settings of the distillation cannot be used: {wrong}.") from None


class DistillObjective(Objective):
    """The student's features are drawn to those of a frozen teacher; labels and prompts play no part.

    `score` is the negative loss of each picture.

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
        self.side = self.settings.image_size or network.image_size
        self.teacher = (load_teacher(self.settings, self.side) if teacher is None else teacher).eval()
        self.teacher.requires_grad_(False)
        self.teacher_entry = registry.entry(self.settings.model)
        self.match = match_of(self.settings, network)
        check(self.settings, self.match, network, self.teacher)

    def train(self, mode: bool = True) -> DistillObjective:
        super().train(mode)
        self.teacher.eval()
        return self

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
        pictures = batch.pictures
        ours = self._features(self.network, self.entry.normalise(pictures))
        with torch.no_grad():
            pictures = scaled(pictures, self.side)
            theirs = self._features(self.teacher, self.teacher_entry.normalise(pictures))
        return differences(self.settings, self.match, ours, theirs)

    def _features(self, network: PromptNetwork, pictures: Tensor) -> Pyramid:
        if self.match == "embedding":
            return Pyramid((network.encode(pictures).image,))
        return pyramid(network.image_encoder, pictures, parts=self.settings.pairs.parts)


def match_of(settings: DistillSettings, network: PromptNetwork) -> Match:
    """What is compared; the decoder decides where the settings do not."""
    return settings.match or ("pyramid" if _levelled(network) else "embedding")


def check(settings: DistillSettings, match: Match, student: PromptNetwork, teacher: PromptNetwork) -> None:
    """Refuse two networks whose features cannot be compared.

    Raises:
        ModelError: one lacks levels or adapters, or nothing has a weight.
    """
    for who, network in {"student": student, "teacher": teacher}.items():
        if match == "pyramid" and not _levelled(network):
            raise ModelError(f"The {who} has one embedding, no levels; set `match` to embedding.")
        if match == "pyramid" and settings.pairs.parts and not _adapted(network):
            raise ModelError(
                f"The {who} has no CH-Adapters to compare; choose one that has, or set the weights "
                "of the pairs `block` and `adapter` to 0."
            )
    given = any(settings.levels) and any(dict(settings.pairs).values())
    if match == "pyramid" and not given:
        raise ModelError("All weights of the distillation are 0; give a level and a pair some.")


def differences(settings: DistillSettings, match: Match, ours: Pyramid, theirs: Pyramid) -> dict[str, Tensor]:
    """The weighted mean squared difference of each pair, `(B,)`, summed over levels."""
    levels = settings.levels if match == "pyramid" else (1.0,)
    found = {}
    for name, mine, target in zip(Pyramid._fields, ours, theirs, strict=True):
        weight = getattr(settings.pairs, name) if match == "pyramid" else 1.0
        if mine and weight:
            each = [w * distance(a, b) for w, a, b in zip(levels, mine, target, strict=True) if w]
            found[name] = weight * torch.stack(each).sum(0)
    return found


def picture_share(batch: Batch, recipe: Recipe) -> float:
    """Factor that makes the mean over processes that of the whole batch, also of unequal parts of it."""
    if dist.is_available() and dist.is_initialized():
        return len(batch.pictures) * dist.get_world_size() / recipe.batch
    return 1.0


def scaled(pictures: Tensor, side: int) -> Tensor:
    """Square pictures `(B,3,S,S)` at another side."""
    if side == pictures.shape[-1]:
        return pictures
    return F.interpolate(pictures, (side, side), mode="bilinear", antialias=True)


def distance(ours: Tensor, theirs: Tensor) -> Tensor:
    """Mean squared difference `(B,)` of features `(B,C,h,w)`; a finer target is averaged to our grid."""
    if theirs.shape[-2:] != ours.shape[-2:]:
        theirs = F.interpolate(theirs.float(), ours.shape[-2:], mode="bilinear", antialias=True)
    return (ours.float() - theirs.float()).square().flatten(1).mean(1)


def load_teacher(settings: DistillSettings, side: int | None = None) -> PromptNetwork:
    """The teacher's network for inputs of `side` (None: its own) with its weights, in eval mode.

    Raises:
        ModelError: unknown model, or weights that are missing, damaged or made for another network.
    """
    if settings.weights is None:
        return loading.load(settings.model, side)[0]
    path = Path(settings.weights)
    if path.is_dir():
        return loading.assemble(path, side, settings.model)[0]
    if not path.is_file():
        raise ModelError("There is no such file of the teacher's weights; see `weights` in the recipe.")
    return loading.load_file(settings.model, path, side)


def _levelled(network: PromptNetwork) -> bool:
    """Whether its decoder takes three levels (SAM2's), not one embedding (SAM's)."""
    return bool(network.sam_mask_decoder.use_high_res_features)


def _adapted(network: PromptNetwork) -> bool:
    return hasattr(getattr(network.image_encoder, "trunk", None), ADAPTERS)
