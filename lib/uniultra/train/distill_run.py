"""A complete distillation: match the teacher's features, take over its decoder, fine-tune the whole."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import model_validator

from uniultra.errors import ModelError
from uniultra.models.registry import entry
from uniultra.networks.network import PromptNetwork
from uniultra.train import checkpoint
from uniultra.train.distillation.decoder_transfer import take_decoder
from uniultra.train.distillation.distill import DistillSettings, load_teacher
from uniultra.train.distributed import joined
from uniultra.train.initial_network import adapter_config
from uniultra.train.provenance import TRAINED_ON, sets_of
from uniultra.train.recipe import Recipe, RecipeModel
from uniultra.train.result import trained_network
from uniultra.train.trainer import Trainer
from uniultra.weights import loading, tensors

TRANSFER, HANDOVER, FINETUNE = "transfer", "handover", "finetune"  # folders of the output


class DistillRecipe(RecipeModel):
    """One distillation; a YAML file of the same fields.

    Attributes:
        student: name in the registry; the first stage trains its whole image encoder.
        teacher: the teacher and the features that are compared, see `DistillSettings`.
        transfer: settings of the first stage, an ordinary recipe without `model`.
        finetune: settings of the last stage, an ordinary recipe that starts from the student with the
            teacher's decoder; it trains all parameters by default. It may name another `model` whose base
            is the student. With the objective `guided` the teacher's features and masks stay part of the
            loss. None skips this stage.
    """

    student: str
    teacher: DistillSettings
    transfer: dict[str, Any]
    finetune: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _stages(self) -> DistillRecipe:
        fixed = {"model", "objective", "distill"} & set(self.transfer)
        if fixed:
            raise ValueError(f"transfer has no setting {', '.join(sorted(fixed))}")
        if "start" in (self.finetune or {}):
            raise ValueError("finetune starts from the distilled student; take start out")
        for name in (self.student, self.teacher.model):
            if not entry(name).prompts:
                raise ValueError(f"{name} takes no prompts; distil from and into models that do")
        return self

    @classmethod
    def read(cls, path: Path, changes: Sequence[str] = ()) -> Self:
        """As `RecipeModel.read`; the recipes of both stages are checked too."""
        recipe = super().read(path, changes)
        recipe.first()
        recipe.last(Path())
        return recipe

    def first(self) -> Recipe:
        """The recipe of the first stage."""
        return Recipe.of(
            {"trains": ["image_encoder."], **self.transfer}
            | {"model": self.student, "objective": "distill"}
            | {"distill": self.teacher.model_dump(exclude_none=True)}
        )

    def last(self, output: Path) -> Recipe | None:
        """The recipe of the last stage; None without one."""
        if self.finetune is None:
            return None
        start = str(self.handover(output))
        guided = self.finetune.get("objective") == "guided"
        teacher = {"distill": self.teacher.model_dump(exclude_none=True)} if guided else {}
        return Recipe.of({"model": self.student, "trains": "all", **teacher, **self.finetune, "start": start})

    def handover(self, output: Path) -> Path:
        """Path of the student with its distilled encoder and the teacher's decoder."""
        return output / HANDOVER / f"{self.student}{tensors.SUFFIX}"


def distill(
    recipe: DistillRecipe, data: Path, output: Path, device: str = "cpu", workers: int | None = None
) -> Path:
    """Run or resume a distillation in either stage; return the path of the result.

    Args:
        recipe: both stages.
        data: folder with manifest.csv.
        output: folder for the stages and for the student between them.
        device, workers: as for `Trainer`.

    Raises:
        ModelError: models, weights or settings that do not fit together.
        ImageError: the data folder has no manifest, or no rows of a data set.
    """
    first, last = recipe.first(), recipe.last(output)
    Trainer(first, data, output / TRANSFER, device, workers).run()
    result = recipe.handover(output)
    with joined(torch.device(device)) as world:
        if world.first:
            begun = last is not None and checkpoint.read(output / FINETUNE) is not None
            hand_over(recipe, output, begun=begun)
        world.broadcast(0.0)  # a barrier: no process continues before the student is written
    if last is None:
        return result
    tuned = Trainer(last, data, output / FINETUNE, device, workers).run()
    if not tuned.is_dir():
        return tuned
    # The result is one whole file, not a bundle, whose base would exist in this folder alone.
    result = output / FINETUNE / f"{last.model}{tensors.SUFFIX}"
    if os.environ.get("RANK", "0") == "0":
        _save(result, trained_network(last, output / FINETUNE), last)
    return result


def hand_over(recipe: DistillRecipe, output: Path, *, begun: bool = False) -> None:
    """Write the first stage's student with the teacher's decoder.

    A resumed fine-tuning must have `begun` on exactly this student: its checkpoint holds trained tensors
    only and would otherwise be combined with a base that it never saw.

    Raises:
        ModelError: the two have different decoders, or fine-tuning has begun on another student.
    """
    first, path = recipe.first(), recipe.handover(output)
    student = trained_network(first, output / TRANSFER)
    take_decoder(student, load_teacher(recipe.teacher))
    before = tensors.file_sha256(path) if path.is_file() else None
    _save(path, student, first)
    if begun and tensors.file_sha256(path) != before:
        raise ModelError(
            f"The {FINETUNE} folder was begun on another student than the one distilled now. "
            "Empty it, or name another output folder."
        )


def _save(path: Path, network: PromptNetwork, recipe: Recipe) -> None:
    config = adapter_config(entry(recipe.model), recipe)
    metadata = {TRAINED_ON: json.dumps(sets_of(recipe))} | loading.config_metadata(recipe.model, config)
    tensors.save(path, network, metadata, torch.float32)
