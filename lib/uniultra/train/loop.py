"""The loop itself: steps on an ignite engine, averages, validation, checkpoints, and how it ends."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from ignite.handlers import EarlyStopping
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from tqdm import tqdm

from uniultra.datasets.samples import Sample
from uniultra.errors import ModelError
from uniultra.train import checkpoint, tracking
from uniultra.train.batches import Batch, Batches, validation
from uniultra.train.distributed import World
from uniultra.train.ema import Average
from uniultra.train.objective import Objective
from uniultra.train.optimizers import optimizer_of
from uniultra.train.recipe import Recipe
from uniultra.train.signals import Interrupts
from uniultra.weights.bundle import fingerprint

log = logging.getLogger(__name__)
NOTE_EVERY = 10  # steps between entries of the curves
# Settings that make it another run; the others may change when a run goes on.
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
class Summary:
    """What a training did.

    Attributes:
        steps, images: optimiser steps and pictures seen.
        seconds: of training and validation, over all resumed parts.
        ended: `steps`, `patience` or `wall_clock`, whichever came first.
        score: of validation, for the weights that are the result; None without validation.
        device, processes: what it ran on.
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
        recipe: what to do.
        world: the processes that do it.
        output: folder for checkpoints and curves.
        val: validation pictures; only process 0 needs them.
        shown: show a progress bar.
        keeps: write checkpoints.

    Raises:
        ModelError: the checkpoint in the folder is damaged or of another run, or the recipe wants to
            stop by validation and there is nothing to validate on.
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
    ) -> None:
        self.goal, self.recipe, self.world, self.output = goal, recipe, world, output
        self.shown, self.keeps = shown and world.first, keeps and world.first
        self.checks = list(validation(val, recipe, prompted=goal.prompted))
        self.validates = bool(world.told(len(self.checks)))
        if recipe.patience is not None and not self.validates:
            raise ModelError("The recipe stops by validation, and its sets have no pictures to validate on.")
        trained = {name: p for name, p in goal.named_parameters() if p.requires_grad}
        self.average = Average(trained, recipe.average)
        self.optimizer = optimizer_of(goal, recipe)
        self.engine = Engine(self._step)
        self.stopper = EarlyStopping(recipe.patience or 1, lambda e: e.state.metrics["score"], self.engine)
        self.best: dict[str, Tensor] = {}
        self.score: float | None = None
        self.step, self.used, self.ended = 0, 0.0, ""
        self.recorded: list[dict[str, Tensor]] = []
        self.interrupts = Interrupts()
        self._fingerprint = fingerprint(goal, checkpoint.moving(goal))
        self._resume()

    def run(self, samples: Sequence[Sample], workers: int = 0) -> Summary:
        """Train on `samples` to the end; the network then holds the result.

        Raises:
            ModelError: the loss is no longer a number.
            KeyboardInterrupt, SystemExit: it was told to stop; a checkpoint was written.
        """
        if not self._over():
            self._run(samples, workers)
            self.interrupts.act()
        result = self.best or self.average.values
        checkpoint.put(self.goal, result)
        return Summary(
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
            collate_fn=_as_it_is,
        )
        # Parameters that only some prompts use get no gradient in some steps.
        self.module: nn.Module = self.goal
        if world.size > 1:
            self.module = DistributedDataParallel(self.goal, find_unused_parameters=True)
        # Before the trackers, which then write the mean over the steps since their last entry.
        self.engine.add_event_handler(Events.ITERATION_COMPLETED, self._completed)
        self.write_metrics = tracking.nothing
        if world.first:
            self.write_metrics = tracking.attach(self.engine, recipe, self.output, self.step, NOTE_EVERY)
        self.engine.load_state_dict({"iteration": self.step, "max_epochs": 1, "epoch_length": recipe.length})
        self.module.train()
        self.began = time.monotonic() - self.used
        with (
            self.interrupts.listening(),
            tqdm(
                total=recipe.length, initial=self.step, desc=recipe.model, disable=not self.shown
            ) as self.bar,
        ):
            self.engine.run(loader)

    def _step(self, engine: Engine, batch: Batch) -> dict[str, Tensor]:
        recipe, step = self.recipe, engine.state.iteration - 1
        # Whatever a network draws (dropout) belongs to the step, as what a batch draws does.
        torch.manual_seed(recipe.seed * 1_000_003 + step)
        for group in self.optimizer.param_groups:
            group["lr"] = group["factor"] * recipe.optimizer.rate_at(step, recipe.length)
        weight = float(batch.weight.sum())
        total = self.world.total(weight)
        batch = batch.shared(self.world.size * weight / total if total else 0.0).to(self.world.device)
        with self._autocast():
            parts: dict[str, Tensor] = self.module(batch, step / recipe.length)
        self.optimizer.zero_grad(set_to_none=True)
        parts["loss"].backward()
        if recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.average.parameters.values(), recipe.clip)
        self.optimizer.step()
        self.average.update(step)
        return {name: value.detach() for name, value in parts.items()}

    def _completed(self, engine: Engine) -> None:
        recipe = self.recipe
        self.step, self.used = engine.state.iteration, time.monotonic() - self.began
        self.bar.update()
        self.recorded.append(engine.state.output)
        if self.step == recipe.length:
            self.ended = "steps"
        elif recipe.wall_clock_s is not None and self.world.told(self.used) >= recipe.wall_clock_s:
            self.ended = "wall_clock"
        if self.step % NOTE_EVERY == 0 or self.ended:
            self._note(engine)
        every = recipe.validate_every
        if self.validates and every and (self.step % every == 0 or self.ended):
            self._validate(engine)
        asked = self.world.largest(self.interrupts.signal or 0)
        if asked or self.ended or self.step % recipe.checkpoint_every == 0:
            self._keep(engine)
        if asked:
            self.interrupts.signal = int(asked)
        if asked or self.ended:
            engine.terminate()

    def _note(self, engine: Engine) -> None:
        parts = {name: torch.stack([one[name] for one in self.recorded]).mean() for name in self.recorded[0]}
        mean = {name: self.world.total(float(part)) / self.world.size for name, part in parts.items()}
        self.recorded, engine.state.output = [], mean
        self._finite(mean["loss"])
        if self.world.first:
            rounded = {name: round(value, 5) for name, value in mean.items()}
            rate = self.optimizer.param_groups[0]["lr"]
            tracking.note(self.output, {"step": self.step, **rounded, "rate": rate})
            self.bar.set_postfix(loss=f"{mean['loss']:.3f}")

    def _finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise ModelError(
                f"The loss is not a number at step {self.step}; the last checkpoint is kept. Lower "
                "optimizer.rate, or set precision to fp32."
            )

    def _validate(self, engine: Engine) -> None:
        found = 0.0
        if self.world.first:
            self.module.eval()
            with self.average.in_place(), torch.no_grad(), self._autocast():
                scores = [self.goal.score(batch.to(self.world.device)).cpu() for batch in self.checks]
            self.module.train()
            found = float(torch.cat(scores).double().mean())
        found = self.world.told(found)
        engine.state.metrics["score"] = found
        if self.world.first:
            tracking.note(self.output, {"step": self.step, "score": round(found, 5)})
            self.write_metrics()
        if self.recipe.patience is None:
            self.score = found
            return
        if self.score is None or found > self.score:
            self.score = found
            with self.average.in_place():
                self.best = {n: v.detach().cpu().clone() for n, v in checkpoint.moving(self.goal).items()}
        self.stopper(engine)
        if engine.should_terminate and not self.ended:
            self.ended = "patience"

    def _autocast(self) -> torch.autocast:
        wanted, kind = self.recipe.precision, self.world.device.type
        if wanted == "auto":
            wanted = "bf16" if kind == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
        return torch.autocast(kind, torch.bfloat16, enabled=wanted == "bf16")

    def _keep(self, engine: Engine) -> None:
        self._finite(self.world.told(float(engine.state.output["loss"])))
        if not self.keeps:
            return
        state = {
            "recipe": self.recipe.model_dump_json(),
            "frozen": self._fingerprint,
            "step": self.step,
            "used": self.used,
            "ended": self.ended,
            "score": self.score,
            "stopper": dict(self.stopper.state_dict()),
            "model": checkpoint.moving(self.goal),
            "average": self.average.values,
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
        }
        checkpoint.write(self.output, state)

    def _resume(self) -> None:
        state = self.world.handed(checkpoint.read(self.output) if self.world.first else None)
        if state is None:
            return
        before, now = json.loads(state["recipe"]), json.loads(self.recipe.model_dump_json())
        changed = [key for key, value in now.items() if before.get(key) != value]
        if set(changed) & set(FIXED):
            names = ", ".join(sorted(set(changed) & set(FIXED)))
            raise ModelError(
                f"The checkpoint in the output folder was made with another {names}. Name another folder."
            )
        if (before["optimizer"]["name"] == "muon") != (now["optimizer"]["name"] == "muon"):
            raise ModelError(
                "The checkpoint in the output folder was made with another optimizer.name, whose state does "
                "not serve this one. Name another folder."
            )
        if state["frozen"] != self._fingerprint:
            raise ModelError("The checkpoint in the output folder was made on other base weights.")
        if changed:
            log.warning("the checkpoint was made with another %s; going on with the new", ", ".join(changed))
        checkpoint.put(self.goal, state["model"])
        self.average.load(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.stopper.load_state_dict(state["stopper"])
        self.step, self.used, self.ended = state["step"], state["used"], state["ended"]
        self.score, self.best = state["score"], state["best"]
        log.info("going on at step %d", self.step)

    def _over(self) -> bool:
        """Whether a checkpoint says that the run has ended, by the limits that hold now."""
        recipe = self.recipe
        if self.step >= recipe.length:
            self.ended = "steps"
        elif recipe.wall_clock_s is not None and self.used >= recipe.wall_clock_s:
            self.ended = "wall_clock"
        elif recipe.patience is not None and self.stopper.counter >= recipe.patience:
            self.ended = "patience"
        else:
            self.ended = ""
        return bool(self.ended)


def _as_it_is(batch: Any) -> Any:
    return batch
