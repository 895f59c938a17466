"""Training curves: lines in log.jsonl, and TensorBoard or MLflow.

All are written into the output folder. Nothing is sent over the network unless MLFLOW_TRACKING_URI is set.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from uniultra.errors import ModelError

Track = Callable[[int, Mapping[str, float]], None]  # writes the values of a step


def note(folder: Path, line: dict[str, Any]) -> None:
    """Append a line to log.jsonl, with the time added."""
    with (folder / "log.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line | {"time": round(time.time())}) + "\n")


def tracker(kind: str, folder: Path, step: int, experiment: str) -> AbstractContextManager[Track]:
    """The tracker `none`, `tensorboard` or `mlflow`, for a run that starts or resumes at `step`.

    Raises:
        ModelError: the tracker is not installed (on entering it).
    """
    if kind == "tensorboard":
        return _tensorboard(folder, step)
    if kind == "mlflow":
        return _mlflow(folder, experiment)
    return nullcontext(lambda _step, _values: None)


@contextmanager
def _tensorboard(folder: Path, step: int) -> Iterator[Track]:
    """Event files in `tensorboard`; entries of an earlier part for steps after `step` are dropped."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise _missing("tensorboard") from None

    def write(at: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, at)
        writer.flush()

    writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
    try:
        yield write
    finally:
        writer.close()


@contextmanager
def _mlflow(folder: Path, experiment: str) -> Iterator[Track]:
    """A run named like the folder, in `mlruns.db`; an unfinished run of that name is continued."""
    try:
        from mlflow import MlflowClient
        from mlflow.entities import Metric
    except ImportError:
        raise _missing("mlflow") from None
    folder = folder.resolve()
    client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder / 'mlruns.db'}")
    existing = client.get_experiment_by_name(experiment)
    artifacts = (folder / "mlruns").as_uri()
    experiment_id = existing.experiment_id if existing else client.create_experiment(experiment, artifacts)
    runs = [run for run in client.search_runs([experiment_id]) if run.info.status != "FINISHED"]
    own = (run for run in runs if run.info.run_name == folder.name)
    run = next(own, None) or client.create_run(experiment_id, run_name=folder.name)

    def write(at: int, values: Mapping[str, float]) -> None:
        now = time.time_ns() // 1_000_000
        client.log_batch(run.info.run_id, [Metric(name, value, now, at) for name, value in values.items()])

    yield write
    # Not in a `finally`: after an exception or a signal the run stays unfinished, to be continued.
    client.set_terminated(run.info.run_id)


def _missing(package: str) -> ModelError:
    return ModelError(f"{package} is not installed; `pip install {package}`.")
