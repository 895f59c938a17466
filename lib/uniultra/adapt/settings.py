"""What a training on few labels does."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from uniultra.models.factory import trained
from uniultra.models.registry import entry
from uniultra.train.recipe import OptimizerSettings, Recipe, Share

LABELS, KNOWN, SCENES = "labels", "known", "synthetic"  # names of the sets in a batch


class FitSettings(BaseModel):
    """How a network is adapted to few labelled pictures.

    Attributes:
        model: name in the registry; says how pictures are brought to the network.
        trains: what of it, see `Recipe.trains`.
        steps, batch, targets: optimiser steps, pictures of each, and targets of each picture.
        rate, warmup, tail, decay: of AdamW; the rate falls over the last `tail` of the steps.
        average: decay of the moving average of the weights that becomes the result.
        rehearsed: share of generated scenes in a batch, against forgetting.
        scenes: how many of them there are.
        known: share of old organs' labelled pictures among the real ones, where there are any.
        keep, temperature: weight of the likeness to the answers of the network at the start, for all that
            the campaign did not label, and the temperature at which they are compared.
        pseudo: ask for other parts of the labelled pictures too.
        prompts, turns: the simulated annotator, see `Recipe`.
        multimask, border, click: weights of parts of the loss, see `Recipe`.
        share: how far the result goes from the weights at the start to those that were trained
            (arXiv 2109.01903); less forgets less.
        retreats: smaller shares, tried in their order by a job whose result would forget too much.
        wall_clock_s: seconds after which it ends wherever it is; None for no limit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = "uniultra_mini"
    trains: Literal["method", "adapter", "decoder", "all"] | tuple[str, ...] = "adapter"
    steps: Annotated[int, Field(ge=1)] = 100
    batch: Annotated[int, Field(ge=1)] = 6
    targets: Annotated[int, Field(ge=1)] = 2
    rate: Annotated[float, Field(gt=0)] = 2e-4
    warmup: Annotated[int, Field(ge=0)] = 10
    tail: Annotated[float, Field(gt=0, le=1)] = 0.5
    decay: Annotated[float, Field(ge=0)] = 0.01
    average: Annotated[float, Field(gt=0, lt=1)] | None = 0.97
    rehearsed: Share = 0.38
    scenes: Annotated[int, Field(ge=1)] = 64
    known: Share = 0.15
    keep: Annotated[float, Field(ge=0)] = 8.0
    temperature: Annotated[float, Field(gt=0)] = 2.0
    pseudo: bool = True
    prompts: str = "interactive"
    turns: Annotated[int, Field(ge=1, le=20)] = 1
    multimask: Annotated[float, Field(ge=0)] = 0.0
    border: Annotated[float, Field(ge=0)] = 0.0
    click: Annotated[float, Field(ge=0)] = 0.5
    share: Annotated[float, Field(gt=0, le=1)] = 0.7
    retreats: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.5, 0.35)
    wall_clock_s: Annotated[float, Field(gt=0)] | None = None

    @classmethod
    def of(cls, model: str) -> FitSettings:
        """The settings for a model: what its method trains; of the small default, which its recipe trains
        whole, adapters and decoder alone, because they learn as much and forget less.

        Raises:
            ModelError: unknown model.
        """
        found = entry(model)
        if found.adapter is None:
            return cls(model=model, trains="decoder")
        return cls(model=model, trains="adapter" if "" in trained(found) else "method")

    def recipe(self, seed: int, *, known: bool = False, checkpoint_every: int | None = None) -> Recipe:
        """The same as a recipe, for the loop of all trainings.

        Args:
            seed: of everything random.
            known: there are pictures of old organs.
            checkpoint_every: steps between checkpoints, None for none before the end.
        """
        shares = {LABELS: 1.0}
        if known and self.known:
            shares = {LABELS: max(1 - self.known, 0.01), KNOWN: self.known}
        return Recipe.of(
            {
                "model": self.model,
                "trains": self.trains,
                "datasets": shares,
                "prompts": self.prompts,
                "turns": self.turns,
                "steps": self.steps,
                "wall_clock_s": self.wall_clock_s,
                "batch": self.batch,
                "targets": self.targets,
                "synthetic": self.rehearsed,
                "scenes": self.scenes,
                "pseudo": self.pseudo,
                "click_weight": self.click,
                "border_weight": self.border,
                "multimask": self.multimask,
                "optimizer": OptimizerSettings(
                    rate=self.rate, decay=self.decay, warmup=self.warmup, schedule="linear", tail=self.tail
                ),
                "average": self.average,
                "precision": "fp32",
                "deterministic": True,
                "seed": seed,
                "validate_every": None,
                "checkpoint_every": checkpoint_every or self.steps + 1,
            }
        )
