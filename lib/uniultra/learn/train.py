"""The training loop of every system: resumable after a kill, alone or over several processes."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from ignite.handlers import EarlyStopping
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from tqdm import tqdm

from uniultra.errors import ModelError
from uniultra.learn import checkpoint, tracking
from uniultra.learn.batches import Batch, Batches, validation
from uniultra.learn.data import Preparation, Sample, pool
from uniultra.learn.objective import Objective, objective, recompute_blocks
from uniultra.learn.parallel import World, joined
from uniultra.learn.recipe import Recipe
from uniultra.learn.results import write_result
from uniultra.learn.splits import divide
from uniultra.learn.start import starting_network
from uniultra.models.registry import entry

log = logging.getLogger(__name__)
NOTE_EVERY = 10  # steps between entries of the curves
# Settings that make another network or another run of it; the others may change when a run goes on.
FIXED = ("model", "adapter", "start", "trains", "objective", "image_size", "average", "seed", "batch")


class Trainer:
    """Trains one model by a recipe; `run` goes on from the last checkpoint in `output`.

    Args:
        recipe: what to do.
        data: folder with manifest.csv.
        output: folder for checkpoints, curves and the result.
        device: `cpu` or `cuda[:N]`; under torchrun each process takes its own GPU.
        workers: processes that prepare pictures and batches ahead; None chooses by the device.
    """

    def __init__(
        self, recipe: Recipe, data: Path, output: Path, device: str = "cpu", workers: int | None = None
    ) -> None:
        self.recipe, self.data, self.output = recipe, data, output
        self.entry = entry(recipe.model)
        self.device = torch.device(device)
        spare = max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
        self.preparing = workers or spare
        self.loading = (min(12, spare - 1) if self.device.type == "cuda" else 0) if workers is None else workers

    def run(self) -> Path:
        """Train to the end of the recipe and return the result: a .safetensors file or a bundle's folder.

        Raises:
            ModelError: the recipe does not fit the model, the checkpoint is of another run, or the loss
                is no longer a number.
            ImageError: the data folder has no manifest, or nothing of a set.
            KeyboardInterrupt, SystemExit: it was told to stop; a checkpoint was written.
        """
        self.output.mkdir(parents=True, exist_ok=True)
        parts = divide(self.recipe, self.data)
        size = self.recipe.image_size or self.entry.image_size
        how = Preparation(
            size,
            self.entry.fit,
            whole=self.recipe.target == "whole",
            pseudo=self.recipe.pseudo,
            seed=self.recipe.seed,
        )
        # Before the network, because this forks and a GPU in use does not survive a fork.
        samples = pool([*parts.train, *parts.val], self.recipe.scenes, how, workers=self.preparing)
        count, checks = len(parts.train), len(parts.val)
        train, val = samples[:count] + samples[count + checks :], samples[count : count + checks]
        with joined(self.device) as world, _deterministic(self.recipe.deterministic, world.device):
            run = _Run(self, world, train, val)
            return run.go(parts)
