"""Settings of an adaptation to few labels."""

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
        model: name in the registry; also determines the preprocessing of pictures.
        trains: which parameters are trained, see `Recipe.trains`.
        steps, batch, targets: optimiser steps, pictures per step, and targets per picture.
        rate, warmup, tail, decay: AdamW's learning rate, its warm-up in steps, the final fraction of the
            steps over which it falls linearly, and the weight decay.
        average: decay of the moving average of the weights, which is the result; None for the last weights.
        rehearsed: fraction of generated scenes in a batch, against forgetting; more forgets less.
        scenes: number of different generated scenes.
        known: fraction of the replay set (labelled pictures of earlier organs) among the real pictures, if
            there is one.
        keep, temperature: weight and temperature of the distillation loss, which holds the answers to all
            that the campaign did not label close to those of the base network.
        pseudo: also train on pseudo-objects in the labelled pictures.
        prompts, turns: the simulated annotator, see `Recipe`.
        multimask, border, click: weights of parts of the loss, see `Recipe`.
        share: interpolation factor of the result between base weights (0) and trained weights (1), WiSE-FT
            (arXiv 2109.01903); smaller forgets less.
        retreats: smaller interpolation factors, tried in this order if the result forgets too much.
        wall_clock_s: time limit in seconds; None for no limit.
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
        """The settings for a model: it trains what its method trains.

        The small default model was trained whole; here only its adapters and decoder are, because they learn
        as much and forget less.

        Raises:
            ModelError: unknown model.
        """
        registered = entry(model)
        if registered.adapter is None:
            return cls(model=model, trains="decoder")
        return cls(model=model, trains="adapter" if "" in trained(registered) else "method")

    def recipe(self, seed: int, *, known: bool = False, checkpoint_every: int | None = None) -> Recipe:
        """These settings as a recipe of the common training loop.

        Args:
            seed: of all random numbers.
            known: whether there is a replay set.
            checkpoint_every: steps between checkpoints; None for no checkpoint before the end.
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
