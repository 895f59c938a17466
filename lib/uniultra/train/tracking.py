"""Curves of a training: lines in log.jsonl, and TensorBoard or MLflow through MONAI's handlers.

Both write into the output folder. Nothing is sent anywhere, unless MLFLOW_TRACKING_URI says so.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from uniultra.errors import ModelError
from uniultra.train.recipe import Recipe


def note(folder: Path, line: dict[str, Any]) -> None:
    """Append a line with the time to log.jsonl."""
    with (folder / "log.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line | {"time": round(time.time())}) + "\n")


def nothing() -> None:
    """Write nothing."""


def attach(engine: Any, recipe: Recipe, folder: Path, step: int, every: int) -> Callable[[], None]:
    """Let MONAI's handler write the engine's output every so many steps.

    Args:
        engine: an ignite engine whose output is a dictionary of scalars.
        recipe: says which tracker.
        folder: where its files go.
        step: the step that the run goes on from; what was written of later ones is dropped.
        every: steps between entries.

    Returns:
        A function that writes `engine.state.metrics` at the current step.

    Raises:
        ModelError: the tracker is not installed.
    """
    if recipe.track == "none":
        return nothing
    common = {
        "epoch_log": False,
        "output_transform": lambda output: {name: float(value) for name, value in output.items()},
        "global_epoch_transform": lambda _epoch: engine.state.iteration,
    }
    try:
        handler = (
            _tensorboard(folder, step, every, common)
            if recipe.track == "tensorboard"
            else _mlflow(recipe, folder, every, common)
        )
    except ImportError:
        raise ModelError(f"{recipe.track} is not installed; `pip install {recipe.track}`.") from None
    handler.attach(engine)
    return lambda: handler.epoch_completed(engine)


def _tensorboard(folder: Path, step: int, every: int, common: dict[str, Any]) -> Any:
    from monai.handlers import TensorBoardStatsHandler
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
    return TensorBoardStatsHandler(summary_writer=writer, iteration_log=every, **common)


def _mlflow(recipe: Recipe, folder: Path, every: int, common: dict[str, Any]) -> Any:
    import mlflow  # noqa: F401  (MONAI would fail later and say less)
    from monai.handlers import MLFlowHandler

    return MLFlowHandler(
        tracking_uri=f"sqlite:///{(folder / 'mlruns.db').resolve()}",
        experiment_name=recipe.model,
        run_name=folder.name,  # an unfinished run of this name is gone on with
        iteration_log=lambda _engine, iteration: iteration % every == 0,
        close_on_complete=True,
        **common,
    )
