"""Training over several processes: torchrun's environment, and the values that the processes share.

torchrun --nproc-per-node 4 -m uniultra.cli.main train RECIPE --data DIR --output DIR
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

PATIENCE = timedelta(hours=2)  # for rank 0's validation, in which the other processes wait


@dataclass(frozen=True)
class World:
    """The processes that train together.

    Attributes:
        rank, size: number of this process, and number of processes.
        device: device of this process.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes, validates and shows progress."""
        return self.rank == 0

    def sum(self, value: float) -> float:
        """The sum of a value over all processes."""
        return float(self._reduced(value, dist.ReduceOp.SUM))

    def max(self, value: float) -> float:
        """The maximum of a value over all processes."""
        return float(self._reduced(value, dist.ReduceOp.MAX))

    def broadcast(self, value: float) -> float:
        """The value of process 0, in every process."""
        if self.size == 1:
            return value
        number = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.broadcast(number, 0)
        return float(number)

    def broadcast_state(self, state: dict[str, Any] | None) -> dict[str, Any] | None:
        """The plain state of process 0, in every process, also on machines that share no disk with it."""
        if self.size == 1:
            return state
        holder = [state]
        dist.broadcast_object_list(holder, 0, device=self.device)
        return holder[0]

    def _reduced(self, value: float, how: Any) -> Tensor:
        number = torch.tensor(value, dtype=torch.float64, device=self.device)
        if self.size > 1:
            dist.all_reduce(number, how)
        return number


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """Join the processes that torchrun started; without torchrun, a world of one process."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(0, 1, device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield World(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()
