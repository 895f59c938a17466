"""A distillation from end to end: features, then the teacher's decoder, then a short joint fine-tune."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from uniultra.errors import ModelError
from uniultra.models.registry import entry
from uniultra.networks.network import PromptNetwork
from uniultra.train import checkpoint
from uniultra.train.distillation.decoder_transfer import take_decoder
from uniultra.train.distillation.distill import DistillSettings, load_teacher
from uniultra.train.distributed import joined
from uniultra.train.initial_network import adapter_config
from uniultra.train.provenance import TRAINED_ON, sets_of
from uniultra.train.recipe import Recipe, complaint, read_yaml
from uniultra.train.result import trained_network
from uniultra.train.trainer import Trainer
from uniultra.weights import loading, tensors

TRANSFER, HANDOVER, FINETUNE = "transfer", "handover", "finetune"  # folders of the output


class DistillRecipe(BaseModel):
    """One distillation; a YAML file of the same fields.

    Attributes:
        student: name in the registry; its image encoder is trained whole.
        teacher: who teaches and what is compared, see `DistillSettings`.
        transfer: settings of the first stage, an ordinary recipe without `model`.
        finetune: settings of the last stage, an ordinary recipe; it starts from the student with the
            teacher's decoder and trains everything unless it says otherwise. It may name another
            `model` that has the student for a base. With the objective `guided` the teacher goes on
            teaching beside the labels. None leaves this stage out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

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
    def read(cls, path: Path, changes: Sequence[str] = ()) -> DistillRecipe:
        """A recipe from a YAML file, with `KEY=VALUE` changes (`transfer.images=1000`) on top.

        Raises:
            ModelError: no such file, no YAML, or settings that cannot be used, those of both stages too.
        """
        try:
            found = cls.model_validate(read_yaml(path, changes))
        except ValidationError as error:
            wrong = "; ".join(complaint(dict(e)) for e in error.errors()[:4])
            raise ModelError(f"The recipe cannot be used: {wrong}.") from None
        found.first()
        found.last(Path())
        return found

    def first(self) -> Recipe:
        """The recipe of the first stage."""
        return Recipe.of(
            {"trains": ["image_encoder."], **self.transfer}
            | {"model": self.student, "objective": "distill"}
            | {"distill": self.teacher.model_dump(exclude_none=True)}
        )

    def last(self, output: Path) -> Recipe | None:
        """The recipe of the last stage, None when there is none."""
        if self.finetune is None:
            return None
        start = str(self.handover(output))
        guided = self.finetune.get("objective") == "guided"
        teacher = {"distill": self.teacher.model_dump(exclude_none=True)} if guided else {}
        return Recipe.of({"model": self.student, "trains": "all", **teacher, **self.finetune, "start": start})

    def handover(self, output: Path) -> Path:
        """The student with its distilled encoder and the teacher's decoder."""
        return output / HANDOVER / f"{self.student}{tensors.SUFFIX}"


def distill(
    recipe: DistillRecipe, data: Path, output: Path, device: str = "cpu", workers: int | None = None
) -> Path:
    """Run a distillation, or go on where it was stopped, in either stage; return the result.

    Args:
        recipe: what to do.
        data: folder with manifest.csv.
        output: folder for both stages and what stands between them.
        device, workers: as `Trainer`.

    Raises:
        ModelError: models, weights or settings that cannot be used together.
        ImageError: the data folder has no manifest, or nothing of a set.
    """
    first, last = recipe.first(), recipe.last(output)
    Trainer(first, data, output / TRANSFER, device, workers).run()
    made = recipe.handover(output)
    with joined(torch.device(device)) as world:
        if world.first:
            begun = last is not None and checkpoint.read(output / FINETUNE) is not None
            hand_over(recipe, output, begun=begun)
        world.told(0.0)  # the others wait until it is there
    if last is None:
        return made
    tuned = Trainer(last, data, output / FINETUNE, device, workers).run()
    if not tuned.is_dir():
        return tuned
    # A bundle would stand on a base that only this folder has.
    made = output / FINETUNE / f"{last.model}{tensors.SUFFIX}"
    if os.environ.get("RANK", "0") == "0":
        _save(made, trained_network(last, output / FINETUNE), last)
    return made


def hand_over(recipe: DistillRecipe, output: Path, *, begun: bool = False) -> None:
    """Write the student that the first stage left, with the teacher's decoder.

    Raises:
        ModelError: the two have different decoders, or fine-tuning has `begun` on another student.
    """
    first, made = recipe.first(), recipe.handover(output)
    student = trained_network(first, output / TRANSFER)
    take_decoder(student, load_teacher(recipe.teacher))
    before = tensors.file_sha256(made) if made.is_file() else None
    _save(made, student, first)
    if begun and tensors.file_sha256(made) != before:
        raise ModelError(
            f"The {FINETUNE} folder was begun on another student than the one distilled now. "
            "Empty it, or name another output folder."
        )


def _save(path: Path, network: PromptNetwork, recipe: Recipe) -> None:
    found = entry(recipe.model)
    metadata = {TRAINED_ON: json.dumps(sets_of(recipe))}
    metadata |= loading.config_metadata(found.name, adapter_config(found, recipe))
    tensors.save(path, network, metadata, torch.float32)
