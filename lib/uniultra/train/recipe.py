"""Recipes: the settings of a training run, read from YAML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from uniultra.errors import ModelError
from uniultra.train.augment import Augmentation

Share = Annotated[float, Field(ge=0, le=1)]


class RecipeModel(BaseModel):
    """Immutable, validated settings of a YAML file or a section of one; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    what: ClassVar[str] = "recipe"  # how messages call these settings

    @classmethod
    def of(cls, values: Any) -> Self:
        """Validate plain values, as YAML gives them.

        Raises:
            ModelError: unknown, missing or impossible settings; the text names the first few.
        """
        if not isinstance(values, dict):
            raise ModelError(f"Expected the {cls.what} as `setting: value` lines; got something else.")
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            wrong = "; ".join(complaint(dict(e)) for e in error.errors()[:4])
            raise ModelError(f"The {cls.what} cannot be used: {wrong}.") from None

    @classmethod
    def read(cls, path: Path, changes: Sequence[str] = ()) -> Self:
        """Read a YAML file, with `KEY=VALUE` changes (`optimizer.rate=1e-4`) on top.

        Raises:
            ModelError: no such file, no YAML, or settings that cannot be used.
        """
        return cls.of(read_yaml(path, changes))


class OptimizerSettings(RecipeModel):
    """Optimiser and learning-rate schedule.

    With t in 0..1 the fraction of the run that is done, the learning rate is `rate` * f(t), times a linear
    ramp from 0 to 1 over the first `warmup` steps.

    Attributes:
        name: `adamw`; `adam`, with the weight decay as an L2 penalty; `muon`, which orthogonalises the
            updates of linear layers' weights (arXiv 2502.16982) and leaves all other parameters to AdamW.
        rate: peak learning rate.
        decay: weight decay; never applied to norms and biases.
        warmup: warm-up steps.
        schedule: `constant`, f = 1; `linear`, f = max(floor, min(1, (1 - t) / tail)); `cosine`,
            f = floor + (1 - floor) (1 + cos(pi t)) / 2; `exponential`, f = floor ** t, which is a factor g
            per epoch with floor = g ** epochs.
        tail: fraction of the run at its end over which `linear` decays.
        floor: smallest learning rate, as a fraction of `rate`.
    """

    name: Literal["adam", "adamw", "muon"] = "adamw"
    rate: Annotated[float, Field(gt=0)] = 1e-4
    decay: float = Field(default=0.0, ge=0)
    warmup: int = Field(default=0, ge=0)
    schedule: Literal["constant", "linear", "cosine", "exponential"] = "constant"
    tail: float = Field(default=1.0, gt=0, le=1)
    floor: Share = 0.02

    def rate_at(self, step: int, steps: int) -> float:
        """The learning rate of step `step` (from 0) of a run of `steps`."""
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


class Recipe(RecipeModel):
    """One training run.

    >>> recipe = Recipe.of({"model": "uniultra_mini", "datasets": {"busi_breast": 1}, "images": 100})
    >>> recipe.batch, recipe.length, recipe.optimizer.rate_at(0, recipe.length)
    (12, 9, 0.0001)

    Attributes:
        model: name in the registry.
        adapter: settings of the model's adapter that differ from its defaults.
        start: initial weights: a model's name, a .safetensors file or a bundle's folder; None for random
            initialisation.
        grow: `start` holds the same trunk with fewer channels; widen it without changing its output.
        drawn_prompts: give a network made for official weights our dense prompt path, in which prompts are
            drawn as maps. Set it for random initialisation: a network that gets prompts as tokens only
            learns to ignore them.
        trains: parameters to train: `method`, those of the model's registry entry; `adapter`, those of
            its kind of adapter; `decoder`, prompt encoder and mask decoder; `all`; or fragments of names.
        datasets: sampling weight of each labelled data set among the real pictures.
        splits: names of the manifest's splits for training and validation.
        holdout: fraction of the groups of a data set without training rows that is held out for
            evaluation; the rest trains and validates. Without it such a data set is refused.
        split_seed: seed of that division, apart from `seed` so that all runs and models are evaluated on
            the same pictures.
        target: `component`, one target per connected component of a mask; `whole`, the whole mask, which
            may be empty.
        objective: `prompt`, simulated annotators; `auto`, no prompts; `distill`, a teacher; `guided`,
            simulated annotators and a teacher.
        loss: name in uniultra.train.losses_published.LOSSES.
        prompts: name of a protocol of uniultra.prompts.simulation.protocols.
        turns: prompts per target, the first and its corrections; None for the protocol's own number.
        corrections: largest number of corrections K, instead of `turns`. Each step trains the first output
            and that of correction k, drawn from 1..K with probability proportional to 0.75 ** k; outputs in
            between are computed without gradients, so that a step differentiates through two outputs at any
            K. 0 uses `turns`.
        detach_turns: corrections train the decoder alone, on the detached embedding (SAM-Med2D).
        images, steps: length of the run in pictures seen or optimiser steps; the shorter counts.
        wall_clock_s: seconds after which the run ends, summed over all resumed parts.
        batch: pictures per step.
        targets: largest number of targets per picture; the picture is encoded once for all of them.
        synthetic: fraction of generated pictures in a batch.
        scenes: size of the pool of generated pictures; None generates a new one each time.
        implants: probability that a structure is painted into a real picture as a further target.
        pseudo: add regions found without labels as further targets.
        pseudo_weight: weight of such a target in the loss; labelled targets have 1.
        click_weight: weight of the cross-entropy at the clicked pixels.
        border_weight: weight of the cross-entropy in bands along the true border.
        multimask: weight of the loss of the best of the decoder's three multimask outputs, where the only
            prompt is one positive click.
        augment: augment the pictures: true for the defaults, false, or settings of `Augmentation`.
        image_size: side of the network's input in pixels; None for the model's own.
        average: decay of the exponential moving average that becomes the result; None takes the last
            weights.
        clip: largest norm of the gradient; None for no limit.
        precision: `bf16` autocast, `fp32`, or `auto`: bf16 on a GPU that supports it.
        checkpointing: gradient checkpointing of the trunk's blocks: less memory, one more forward pass.
        deterministic: use only algorithms that are reproducible to the bit.
        seed: seed of all random numbers but the division of the data.
        validate_every: steps between validations; None for none.
        validate_images: largest number of pictures in a validation.
        patience: end after this many validations without a better score, with the best weights as the
            result; None runs to the end and keeps the last weights.
        calibrate: after training, correct the predicted IoU by a line fitted on the validation pictures.
        checkpoint_every: steps between checkpoints.
        track: where curves are written besides log.jsonl.
        distill: settings of the `distill` and `guided` objectives, see `DistillSettings`.
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
        limits = self.steps, self.images and math.ceil(self.images / self.batch)
        return min(limit for limit in limits if limit is not None)

    @property
    def drawn(self) -> int:
        """Generated pictures in each batch."""
        return round(self.batch * self.synthetic)


def read_yaml(path: Path, changes: Sequence[str] = ()) -> Any:
    """The content of a YAML file, with `KEY=VALUE` changes on top.

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


def complaint(error: dict[str, Any]) -> str:
    """One line for one of pydantic's errors: the setting, and what is wrong with it."""
    where = ".".join(str(part) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


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
