"""Recipes: what a training run does, as YAML of named settings and nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from uniultra.errors import ModelError
from uniultra.train.augment import Augmentation

Settings = TypeVar("Settings", bound=BaseModel)
Share = Annotated[float, Field(ge=0, le=1)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OptimizerSettings(_Settings):
    """Optimiser and learning rate.

    Attributes:
        name: `adamw`; `adam`, whose weight decay is L2; `muon`, which makes the steps of the weights of
            linear layers orthogonal (arXiv 2502.16982) and leaves all else to AdamW.
        rate, decay: learning rate and weight decay; norms and biases never decay.
        warmup: steps of linear warm-up.
        schedule: `constant`; `linear`, down to `floor` over the last `tail` of the run; `cosine`, down
            to `floor`; `exponential`, reaching `floor` at the end (a factor g per epoch is g ** epochs).
        tail, floor: shares of the run and of the rate.
    """

    name: Literal["adam", "adamw", "muon"] = "adamw"
    rate: Annotated[float, Field(gt=0)] = 1e-4
    decay: float = Field(default=0.0, ge=0)
    warmup: int = Field(default=0, ge=0)
    schedule: Literal["constant", "linear", "cosine", "exponential"] = "constant"
    tail: float = Field(default=1.0, gt=0, le=1)
    floor: Share = 0.02

    def rate_at(self, step: int, steps: int) -> float:
        """The rate of step `step` (from 0) of a run of `steps`."""
        done = step / max(1, steps)
        if self.schedule == "linear":
            share = max(self.floor, min(1.0, (1 - done) / self.tail))
        elif self.schedule == "cosine":
            share = self.floor + (1 - self.floor) * (1 + math.cos(math.pi * done)) / 2
        elif self.schedule == "exponential":
            share = max(self.floor, 1e-12) ** done
        else:
            share = 1.0
        return self.rate * share * min(1.0, (step + 1) / max(1, self.warmup))


class Recipe(_Settings):
    """One training run.

    Attributes:
        model: name in the registry.
        adapter: settings of its adapter that differ from the kind's defaults.
        start: weights to start from, a model's name, a .safetensors file or a bundle's folder; None
            starts at random.
        grow: `start` has the same trunk with fewer channels; widen it without changing its answers.
        drawn_prompts: give a network made for official weights our dense path, prompts drawn into it.
            One that starts at random would learn to ignore prompts that are tokens only.
        trains: `method` what the model's entry says, `adapter` what its kind of adapter says, `decoder`
            the prompt encoder and mask decoder, `all`, or fragments of parameter names.
        datasets: share of each labelled set among the real pictures.
        splits: names of the splits of the manifest for training and validation.
        holdout: share of the pictures of a set without training rows that is kept for measuring; the
            rest trains and validates. Without it such a set is refused.
        split_seed: draws that division, so that runs of other seeds and models measure the same pictures.
        target: `component` one target for each component of a mask, `whole` the whole mask, maybe empty.
        objective: `prompt` with simulated annotators, `auto` without prompts, `distill` from a
            teacher, `guided` with simulated annotators and a teacher.
        loss: name in uniultra.train.losses.
        prompts: name of the protocol of uniultra.prompts.simulation.protocols.
        turns: prompts per target, the first and its corrections; None for the protocol's own number.
        corrections: instead of `turns`, train the first answer and one later one, drawn anew for each
            step from the first so many corrections, early ones more often; those before it are made
            without gradients. So a step costs two answers with gradients however far it goes; 0: `turns`.
        detach_turns: corrections train the decoder alone, on the embedding as it is (SAM-Med2D).
        images, steps: length of the run, pictures seen or optimiser steps; the shorter of both.
        wall_clock_s: seconds after which the run ends wherever it is, over all resumed parts.
        batch, targets: pictures per step and targets per picture, encoded once for all its targets.
        synthetic: share of generated pictures in a batch.
        scenes: how many generated pictures there are; None draws a new one each time.
        implants: probability of a structure painted into a real picture, as a further target.
        pseudo, pseudo_weight: regions found without labels as further targets, and their weight.
        click_weight: weight of the cross-entropy right at the clicks.
        border_weight: weight of the cross-entropy in bands along the true border.
        multimask: weight of the loss of the best of the decoder's three further masks, where the only
            prompt is one positive click.
        augment: vary the pictures; settings of uniultra.train.augment, or false.
        image_size: side of the input, None for the model's own.
        average: decay of the moving average that becomes the result; None takes the last weights.
        clip: largest norm of the gradient, None for no limit.
        precision: `bf16` autocast, `fp32`, or `auto`: bf16 on a GPU that has it.
        checkpointing: recompute the trunk's blocks in the backward pass, which saves memory.
        deterministic: only algorithms that give the same bits each time.
        seed: of everything random.
        validate_every, validate_images: steps between validations (None: never) and pictures of each.
        patience: validations without a better score before the run ends; with it the best weights
            become the result, without it the last.
        calibrate: after training, correct the predicted IoU by a line fitted on the validation pictures.
        checkpoint_every: steps between checkpoints.
        track: where curves are written besides log.jsonl.
        distill: settings of the `distill` and `guided` objectives.
    """

    model: str
    adapter: dict[str, Any] | None = None
    start: str | None = None
    grow: bool = False
    drawn_prompts: bool = False
    trains: Literal["method", "adapter", "decoder", "all"] | tuple[str, ...] = "method"
    datasets: dict[str, Annotated[float, Field(gt=0)]] = Field(min_length=1)
    splits: dict[Literal["train", "val"], str] = {"train": "train", "val": "val"}
    holdout: float | None = Field(None, gt=0, lt=1)
    split_seed: int = Field(0, ge=0)
    target: Literal["component", "whole"] = "component"
    objective: str = "prompt"
    loss: str = "mask"
    prompts: str = "corrected"
    turns: int | None = Field(None, ge=1, le=20)
    corrections: int = Field(0, ge=0, le=20)
    detach_turns: bool = False
    images: int | None = Field(None, ge=1)
    steps: int | None = Field(None, ge=1)
    wall_clock_s: float | None = Field(None, gt=0)
    batch: int = Field(12, ge=1)
    targets: int = Field(3, ge=1)
    synthetic: Share = 0.0
    scenes: int | None = Field(None, ge=1)
    implants: Share = 0.0
    pseudo: bool = False
    pseudo_weight: float = Field(0.5, ge=0)
    click_weight: float = Field(0.0, ge=0)
    border_weight: float = Field(0.0, ge=0)
    multimask: float = Field(0.0, ge=0)
    augment: bool | Augmentation = True
    image_size: int | None = Field(None, ge=32)
    optimizer: OptimizerSettings = OptimizerSettings()
    average: float | None = Field(0.998, gt=0, lt=1)
    clip: float | None = Field(1.0, gt=0)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    checkpointing: bool = False
    deterministic: bool = False
    seed: int = Field(1, ge=0)
    validate_every: int | None = Field(250, ge=1)
    validate_images: int = Field(60, ge=1)
    patience: int | None = Field(None, ge=1)
    calibrate: bool = False
    checkpoint_every: int = Field(250, ge=1)
    track: Literal["none", "tensorboard", "mlflow"] = "none"
    distill: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Recipe:
        if self.images is None and self.steps is None:
            raise ValueError("the length of the run is missing: give images or steps")
        if self.grow and self.start is None:
            raise ValueError("grow widens the weights of `start`; name them")
        if self.turns is not None and self.corrections:
            raise ValueError("turns and corrections exclude each other; give one of them")
        if self.patience is not None and self.validate_every is None:
            raise ValueError("patience counts validations; give validate_every")
        if self.target == "whole" and (self.pseudo or self.synthetic or self.implants):
            raise ValueError(
                "scenes, implants and pseudo-objects have no whole; set synthetic, implants and pseudo to 0"
            )
        if self.objective == "auto" and self.target != "whole":
            raise ValueError("a network without prompts learns whole masks; set target to whole")
        return self

    @property
    def length(self) -> int:
        """Optimiser steps of the whole run."""
        limits = [] if self.steps is None else [self.steps]
        if self.images is not None:
            limits.append(math.ceil(self.images / self.batch))
        return min(limits)

    @property
    def drawn(self) -> int:
        """Generated pictures in each batch."""
        return round(self.batch * self.synthetic)

    @classmethod
    def of(cls, values: Any) -> Recipe:
        """A recipe of plain values, as YAML gives them.

        Raises:
            ModelError: unknown, missing or impossible settings; the text names them.
        """
        if not isinstance(values, dict):
            raise ModelError("Expected a recipe of `setting: value` lines; got something else.")
        return validated(cls, values, "recipe")

    @classmethod
    def read(cls, path: Path, changes: Sequence[str] = ()) -> Recipe:
        """A recipe from a YAML file, with `KEY=VALUE` changes (`optimizer.rate=1e-4`) on top.

        Raises:
            ModelError: no such file, no YAML, or settings that cannot be used.
        """
        return cls.of(read_yaml(path, changes))


def read_yaml(path: Path, changes: Sequence[str] = ()) -> Any:
    """What a YAML file holds, with `KEY=VALUE` changes on top.

    Raises:
        ModelError: no such file, no YAML, or a change that is not KEY=VALUE.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise ModelError("The recipe cannot be read. Name a YAML file of training/.") from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1})" if where else ""
        raise ModelError(f"The recipe is not YAML{line}.") from None
    for change in changes:
        _put(values, change)
    return values


def validated(kind: type[Settings], values: Any, what: str) -> Settings:
    """Settings of plain values.

    Args:
        kind: the settings' class.
        values: as YAML gives them.
        what: name of the settings, for the message.

    Raises:
        ModelError: unknown, missing or impossible settings; the text names the first few.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(complaint(dict(e)) for e in error.errors()[:4])
        raise ModelError(f"The {what} cannot be used: {wrong}.") from None


def complaint(error: dict[str, Any]) -> str:
    """One of pydantic's errors in a line: which setting, and what is wrong with it."""
    where = ".".join(str(part) for part in error["loc"])
    said = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {said}" if where else said


def _put(values: Any, change: str) -> None:
    """Set one dotted `KEY=VALUE` in nested dictionaries."""
    key, sign, text = change.partition("=")
    *groups, last = key.strip().split(".")
    if not sign or not last or not isinstance(values, dict):
        raise ModelError("Expected a change as KEY=VALUE, for example optimizer.rate=1e-4.")
    for group in groups:
        if not isinstance(values.get(group), dict):
            values[group] = {}
        values = values[group]
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ModelError(f"The value of {key!r} is not YAML.") from None
