"""A training process, as the server starts one, in a process that has imported everything already."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection

import torch

# what a training imports when it begins
from uniultra.adapt import process, run  # noqa: F401


def work(pipe: Connection, job: str, weights: str) -> None:
    """Work on a job as `python -m uniultra.adapt.process JOB` does, over a folder of weights."""
    # the process that this one is forked from may be of an earlier part
    os.environ["UNIULTRA_WEIGHTS"] = weights
    torch.set_num_threads(1)
    pipe.send(("alive",))
    process.main([job])
    pipe.send(("ended",))
