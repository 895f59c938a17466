"""Trains any model by a recipe, in one process or several; a killed training resumes exactly."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from uniultra.datasets.samples import Preparation, Sample, pool
from uniultra.datasets.splits import Division, divide
from uniultra.models.registry import entry
from uniultra.train.distributed import joined
from uniultra.train.initial_network import starting_network
from uniultra.train.iou_calibration import assess
from uniultra.train.loop import Loop
from uniultra.train.objective import PromptObjective, recompute_blocks
from uniultra.train.objectives import build_objective
from uniultra.train.recipe import Recipe
from uniultra.train.result import result_path, write_result, write_split


class Trainer:
    """Trains one model by a recipe; `run` resumes from the last checkpoint in `output`.

    Args:
        recipe: settings of the training.
        data: folder with manifest.csv.
        output: folder for checkpoints, curves and the result.
        device: `cpu` or `cuda[:N]`; under torchrun each process uses its own GPU.
        workers: worker processes that prepare batches; None chooses by the device. The result does not
            depend on them.

    Raises:
        ModelError: unknown model.
    """

    def __init__(
        self, recipe: Recipe, data: Path, output: Path, device: str = "cpu", workers: int | None = None
    ) -> None:
        self.recipe, self.data, self.output = recipe, data, output
        self.entry = entry(recipe.model)
        self.device = torch.device(device)
        self.processors = max(1, _processors() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
        ahead = min(12, self.processors - 1) if self.device.type == "cuda" else 0
        self.workers = ahead if workers is None else workers

    def run(self) -> Path:
        """Train to the end of the recipe; return the path of the .safetensors file or of the bundle's folder.

        Raises:
            ModelError: the recipe does not fit the model, the checkpoint is of another run, or the loss
                is NaN or infinite.
            ImageError: the data folder has no manifest, or no rows of a data set.
            KeyboardInterrupt, SystemExit: the process got a signal to stop; a checkpoint was written.
        """
        self.output.mkdir(parents=True, exist_ok=True)
        recipe = self.recipe
        division = divide(
            self.data,
            recipe.datasets,
            train_split=recipe.splits.get("train", "train"),
            val_split=recipe.splits.get("val", "val"),
            holdout=recipe.holdout,
            seed=recipe.split_seed,
        )
        # Before the network: preparing samples forks, and a process must not fork once it uses a GPU.
        train, val = self._samples(division)
        with joined(self.device) as world, deterministic(recipe.deterministic, world.device):
            network = starting_network(recipe).to(world.device)
            if recipe.checkpointing:
                recompute_blocks(network)
            goal = build_objective(network, self.entry, recipe).to(world.device)
            if world.first:
                write_split(self.output, division)
            loop = Loop(goal, recipe, world, self.output, val)
            done = loop.run(train, self.workers)
            if world.first:
                quality = None
                if isinstance(goal, PromptObjective):
                    quality = assess(goal, loop.checks, world.device, correct=recipe.calibrate)
                write_result(self.output, network, self.entry, recipe, done, quality)
            return result_path(self.output, self.entry, recipe)

    def _samples(self, division: Division) -> tuple[list[Sample], list[Sample]]:
        """Prepared samples for training, generated scenes included, and for validation."""
        recipe = self.recipe
        how = Preparation(
            recipe.image_size or self.entry.image_size,
            self.entry.fit,
            whole=recipe.target == "whole",
            pseudo=recipe.pseudo,
            seed=recipe.seed,
        )
        scenes = (recipe.scenes or 0) if recipe.drawn else 0
        train = pool(division.train, scenes, how, workers=self.processors)
        if recipe.validate_every is None or not division.val or os.environ.get("RANK", "0") != "0":
            return train, []
        return train, pool(division.val, 0, replace(how, pseudo=False), workers=self.processors)


def _processors() -> int:
    """Number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def deterministic(enabled: bool, device: torch.device) -> Iterator[None]:
    """Use deterministic algorithms only; on a GPU, operations that have none warn."""
    if not enabled:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]
