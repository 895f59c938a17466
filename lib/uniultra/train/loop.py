"""The training loop: steps, moving average, validation, checkpoints, and the end of a run.

A run may be killed at any moment; resumed, it gives the same result to the bit, for three reasons. Random
numbers depend on the step alone: batches are drawn from (seed, step), and torch's generator is seeded anew
before each step, so no generator state has to be saved. A checkpoint holds all other state that steps change:
trained weights and buffers, their moving average, the best weights so far, the optimiser's state, and the
counters that end a run. And checkpoints are written after a whole step with its validation, never within
one; steps since the last checkpoint are repeated. Settings that would make it a different run (`FIXED`, the
base weights, the kind of optimiser) are compared with the checkpoint and refused; limits and intervals may
change.

With several processes every decision to stop, validate or checkpoint is made from numbers that all of them
share (`World`): a process that left the loop alone would leave the others waiting for its gradients.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from tqdm import tqdm

from uniultra.datasets.samples import Sample
from uniultra.errors import ModelError
from uniultra.train import checkpoint, tracking
from uniultra.train.batches import Batch, Batches, validation
from uniultra.train.distributed import World
from uniultra.train.ema import MovingAverage
from uniultra.train.objective import Objective
from uniultra.train.optimizers import optimizer_of
from uniultra.train.recipe import Recipe
from uniultra.train.signals import Interrupts
from uniultra.weights.bundle import fingerprint

log = logging.getLogger(__name__)
NOTE_EVERY = 10  # steps between entries of the curves
# Settings that identify a run; all others may change when it is resumed.
FIXED = (
    "model",
    "adapter",
    "start",
    "trains",
    "objective",
    "drawn_prompts",
    "image_size",
    "average",
    "seed",
    "batch",
)


@dataclass(frozen=True)
class TrainingSummary:
    """Summary of a finished training.

    Attributes:
        steps, images: optimiser steps, and pictures seen.
        seconds: time of training and validation, summed over all resumed parts.
        ended: the limit that ended the run: `steps`, `patience` or `wall_clock`.
        score: validation score of the resulting weights; None without validation.
        device, processes: type of the device (`cpu`, `cuda`) and number of processes.
    """

    steps: int
    images: int
    seconds: float
    ended: str
    score: float | None
    device: str
    processes: int


class Loop:
    """One training from its start, or its last checkpoint, to its end.

    Args:
        goal: the objective with its network, on the device.
        recipe: settings of the run.
        world: the processes that train together.
        output: folder for checkpoints and curves.
        val: validation pictures; only process 0 needs them.
        shown: show a progress bar.
        keeps: write checkpoints.
        after_step: called after each step, before its checkpoint, with the number of steps done and the
            loss; an exception from it ends the training.

    Raises:
        ModelError: the checkpoint in the folder is damaged or of another run, or the recipe has `patience`
            and there are no pictures to validate on.
    """

    def __init__(
        self,
        goal: Objective,
        recipe: Recipe,
        world: World,
        output: Path,
        val: Sequence[Sample],
        *,
        shown: bool = True,
        keeps: bool = True,
        after_step: Callable[[int, float], None] | None = None,
    ) -> None:
        self.goal, self.recipe, self.world, self.output = goal, recipe, world, output
        self.shown, self.keeps, self.after_step = shown and world.first, keeps and world.first, after_step
        self.checks = list(validation(val, recipe, prompted=goal.prompted))
        self.validates = bool(world.broadcast(len(self.checks)))
        if recipe.patience is not None and not self.validates:
            raise ModelError("The recipe stops by validation, and its sets have no pictures to validate on.")
        trained = {name: p for name, p in goal.named_parameters() if p.requires_grad}
        self.average = MovingAverage(trained, recipe.average)
        self.optimizer = optimizer_of(goal, recipe)
        self.module: nn.Module = goal
        self.best: dict[str, Tensor] = {}
        self.score: float | None = None
        self.step, self.used, self.ended = 0, 0.0, ""
        self.stale = 0  # validations since the best score
        self.recorded: list[dict[str, Tensor]] = []  # parts of the loss since the last entry of the curves
        self.interrupts = Interrupts()
        self._fingerprint = fingerprint(goal, checkpoint.trainable_state(goal))
        self._resume()

    def run(self, samples: Sequence[Sample], workers: int = 0) -> TrainingSummary:
        """Train on `samples` to the end; the network then holds the result.

        Raises:
            ModelError: the loss is NaN or infinite.
            KeyboardInterrupt, SystemExit: the process got a signal to stop; a checkpoint was written.
        """
        self.ended = self._end_reason()  # by the limits that hold now, whatever the checkpoint says
        if not self.ended:
            self._run(samples, workers)
        checkpoint.load_state(self.goal, self.best or self.average.values)
        return TrainingSummary(
            self.step,
            self.step * self.recipe.batch,
            round(self.used, 1),
            self.ended,
            self.score,
            self.world.device.type,
            self.world.size,
        )

    def _run(self, samples: Sequence[Sample], workers: int) -> None:
        recipe, world = self.recipe, self.world
        batches = Batches(samples, recipe, prompted=self.goal.prompted, rank=world.rank, world=world.size)
        loader = DataLoader(
            batches,
            batch_size=None,
            sampler=range(self.step, recipe.length),
            num_workers=workers,
            collate_fn=_unchanged,
        )
        if world.size > 1:
            # Parameters that only some prompts use get no gradient in some steps.
            self.module = DistributedDataParallel(self.goal, find_unused_parameters=True)
        self.module.train()
        self.began = time.monotonic() - self.used
        curves = tracking.tracker(
            recipe.track if world.first else "none", self.output, self.step, recipe.model
        )
        bar = tqdm(total=recipe.length, initial=self.step, desc=recipe.model, disable=not self.shown)
        with self.interrupts.listening(), curves as self.track, bar as self.bar:
            for batch in loader:
                if self._finished(self._step(batch)):
                    break
            # Before the tracker closes: MLflow then leaves an interrupted run open for the rest of it.
            self.interrupts.act()

    def _step(self, batch: Batch) -> dict[str, Tensor]:
        recipe, step = self.recipe, self.step
        # Random numbers of the network (dropout) depend on the step alone, as those of the batch do.
        torch.manual_seed(recipe.seed * 1_000_003 + step)
        for group in self.optimizer.param_groups:
            group["lr"] = group["factor"] * recipe.optimizer.rate_at(step, recipe.length)
        weight = float(batch.weight.sum())
        total = self.world.sum(weight)
        # DDP averages over processes; with this factor the average is the weighted mean over the batch.
        batch = replace(batch, share=self.world.size * weight / total if total else 0.0)
        batch = batch.to(self.world.device)
        with self._autocast():
            parts: dict[str, Tensor] = self.module(batch, step / recipe.length)
        self.optimizer.zero_grad(set_to_none=True)
        parts["loss"].backward()
        if recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.average.parameters.values(), recipe.clip)
        self.optimizer.step()
        self.average.update(step)
        return {name: value.detach() for name, value in parts.items()}

    def _finished(self, parts: dict[str, Tensor]) -> bool:
        """Count a step with the `parts` of its loss, then log, validate and checkpoint as due.

        Returns:
            Whether the loop ends.
        """
        recipe = self.recipe
        self.step, self.used = self.step + 1, time.monotonic() - self.began
        self.bar.update()
        self.recorded.append(parts)
        if self.after_step is not None:
            self.after_step(self.step, float(parts["loss"]))
        self.ended = self._end_reason()
        if self.step % NOTE_EVERY == 0 or self.ended:
            self._note()
        every = recipe.validate_every
        if self.validates and every and (self.step % every == 0 or self.ended):
            self._validate()
            self.ended = self.ended or self._end_reason()
        signal = self.world.max(self.interrupts.signal or 0)
        if signal or self.ended or self.step % recipe.checkpoint_every == 0:
            self._keep(float(parts["loss"]))
        if signal:
            self.interrupts.signal = int(signal)
        return bool(signal or self.ended)

    def _note(self) -> None:
        """Append the mean parts of the loss since the last entry to the curves."""
        parts = {
            name: torch.stack([step[name] for step in self.recorded]).mean() for name in self.recorded[0]
        }
        mean = {name: self.world.sum(float(part)) / self.world.size for name, part in parts.items()}
        self.recorded = []
        self._check_finite(mean["loss"])
        if self.world.first:
            rounded = {name: round(value, 5) for name, value in mean.items()}
            rate = self.optimizer.param_groups[0]["lr"]
            tracking.note(self.output, {"step": self.step, **rounded, "rate": rate})
            self.track(self.step, mean)
            self.bar.set_postfix(loss=f"{mean['loss']:.3f}")

    def _check_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise ModelError(
                f"The loss is not a number at step {self.step}; the last checkpoint is kept. Lower "
                "optimizer.rate, or set precision to fp32."
            )

    def _validate(self) -> None:
        score = 0.0
        if self.world.first:
            self.module.eval()
            with self.average.in_place(), torch.no_grad(), self._autocast():
                scores = [self.goal.score(batch.to(self.world.device)).cpu() for batch in self.checks]
            self.module.train()
            score = float(torch.cat(scores).double().mean())
        score = self.world.broadcast(score)
        if self.world.first:
            tracking.note(self.output, {"step": self.step, "score": round(score, 5)})
            self.track(self.step, {"score": score})
        if self.recipe.patience is None:
            self.score = score
            return
        self.stale += 1
        if self.score is None or score > self.score:
            self.score, self.stale = score, 0
            with self.average.in_place():
                state = checkpoint.trainable_state(self.goal)
                self.best = {name: value.detach().cpu().clone() for name, value in state.items()}

    def _autocast(self) -> torch.autocast:
        precision, device = self.recipe.precision, self.world.device.type
        supported = device == "cuda" and torch.cuda.is_bf16_supported()
        enabled = precision == "bf16" or (precision == "auto" and supported)
        return torch.autocast(device, torch.bfloat16, enabled=enabled)

    def _keep(self, loss: float) -> None:
        self._check_finite(self.world.broadcast(loss))
        if not self.keeps:
            return
        state = {
            "recipe": self.recipe.model_dump_json(),
            "frozen": self._fingerprint,
            "step": self.step,
            "used": self.used,
            "ended": self.ended,
            "score": self.score,
            "stopper": {"counter": self.stale},
            "model": checkpoint.trainable_state(self.goal),
            "average": self.average.values,
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
        }
        checkpoint.write(self.output, state)

    def _resume(self) -> None:
        """Load the folder's checkpoint, if there is one.

        Process 0 reads it and sends it to the others, so that all of them resume at the same step or all
        start anew, on machines without a shared disk too.
        """
        state = self.world.broadcast_state(checkpoint.read(self.output) if self.world.first else None)
        if state is None:
            return
        before, now = json.loads(state["recipe"]), json.loads(self.recipe.model_dump_json())
        changed = [key for key, value in now.items() if before.get(key) != value]
        differing = sorted(set(changed) & set(FIXED))
        if (before["optimizer"]["name"] == "muon") != (now["optimizer"]["name"] == "muon"):
            differing.append("optimizer.name, whose state this optimiser cannot use")
        if state["frozen"] != self._fingerprint:
            differing.append("set of base weights")
        if differing:
            raise ModelError(
                f"The checkpoint in the output folder was made with another {', '.join(differing)}. "
                "Name another folder."
            )
        if changed:
            log.warning("the checkpoint was made with another %s; using the new settings", ", ".join(changed))
        checkpoint.load_state(self.goal, state["model"])
        self.average.load(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.stale = state["stopper"]["counter"]
        self.step, self.used = state["step"], state["used"]
        self.score, self.best = state["score"], state["best"]
        log.info("resuming at step %d", self.step)

    def _end_reason(self) -> str:
        """The limit that ends the run here; empty while it continues. The same in every process."""
        recipe = self.recipe
        if self.step >= recipe.length:
            return "steps"
        if recipe.wall_clock_s is not None and self.world.broadcast(self.used) >= recipe.wall_clock_s:
            return "wall_clock"
        if recipe.patience is not None and self.stale >= recipe.patience:
            return "patience"
        return ""


def _unchanged(batch: Any) -> Any:
    return batch
