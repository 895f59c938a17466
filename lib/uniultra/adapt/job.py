"""A training job as a folder: its description, progress and outcome.

<studies>/.uniultra/training/<job>/
  job.json        description, with the labels as of its creation; written once
  progress.json   progress, replaced after each epoch
  log.jsonl       event log
  fold-N/, final/ checkpoints while they are needed, and the scores of a fold
  bundle/         the result, until it is published
  stopped         present while the job is stopped by a user
  ended.json      outcome; written once, and last
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from uniultra.adapt.gate import Verdict
from uniultra.adapt.settings import FitSettings
from uniultra.errors import ModelError
from uniultra.files import atomic
from uniultra.store.types import TrainingLabel

FOLDER = Path(".uniultra") / "training"
LINES = 20  # of the log that are reported, as MONAI Label does
_STRICT = ConfigDict(frozen=True, extra="forbid")


class Known(BaseModel):
    """The replay set: a folder with a manifest of labelled pictures of earlier organs."""

    model_config = _STRICT

    folder: Path
    sets: tuple[str, ...] | None = None


class Job(BaseModel):
    """Description of a training job.

    Attributes:
        id: name of its folder; names sort by time.
        model: name in the registry.
        made: time of creation, UTC.
        base_sha256: of the base weights, from which the training starts.
        current: id of the bundle in service at creation; None for the base weights. The result is compared
            with the bundle in service when it is measured, which may be another.
        settings, seed: of the training.
        folds: number of folds of the cross-validation, used while there are few labels.
        scenes: number of generated scenes of the forgetting test.
        labels: training labels, as of creation.
        request: as sent by the client.
        device, threads, nice: where it runs, and how it yields to clicks.
        known: replay set.
    """

    model_config = _STRICT

    schema_version: Literal[1] = 1
    id: str
    model: str
    made: datetime
    base_sha256: str
    current: str | None = None
    settings: FitSettings
    seed: int
    folds: Annotated[int, Field(ge=2, le=20)] = 3
    scenes: Annotated[int, Field(ge=1)] = 40
    labels: tuple[TrainingLabel, ...]
    request: dict[str, Any] = {}
    device: str = "auto"
    threads: Annotated[int, Field(ge=1)] = 1
    nice: Annotated[int, Field(ge=0, le=19)] = 10
    known: Known | None = None


class Progress(BaseModel):
    """Progress of a job; keys that stock MONAI Label clients read have their names."""

    model_config = _STRICT

    phase: str
    epoch: int
    total_epochs: int
    loss: float | None = None
    best_metric: float | None = None
    total_time: float = 0.0
    seconds_left: float | None = None


class Ended(BaseModel):
    """Outcome of a job.

    Attributes:
        status: `DONE` with a verdict, or `ERROR`.
        when: UTC.
        verdict: of the gate.
        adapter: id of the published bundle; None if none was published.
        left_out: labels that were not trained on, with the reason.
        error: in a sentence.
        seconds: working time, over all runs.
    """

    model_config = _STRICT

    status: Literal["DONE", "ERROR"]
    when: datetime
    verdict: Verdict | None = None
    adapter: str | None = None
    left_out: tuple[dict[str, Any], ...] = ()
    error: str | None = None
    seconds: float = 0.0


class JobFolder:
    """The folder of one job, shared by the server and the training process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def studies(self) -> Path:
        """The studies folder of the job."""
        return self.path.parents[2]

    def job(self) -> Job:
        """The job's description.

        Raises:
            ModelError: the description is missing or damaged.
        """
        try:
            return Job.model_validate_json((self.path / "job.json").read_bytes())
        except (OSError, ValidationError):
            raise ModelError("Expected job.json in the job's folder; it is missing or damaged.") from None

    def progress(self) -> Progress | None:
        """The last progress; None before it started."""
        try:
            return Progress.model_validate_json((self.path / "progress.json").read_bytes())
        except (OSError, ValidationError):
            return None

    def ended(self) -> Ended | None:
        """The outcome; None while there is work left.

        A job whose `ended.json` cannot be read has ended nevertheless: it is neither resumed nor published
        again.
        """
        file = self.path / "ended.json"
        try:
            return Ended.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            text = (
                "Expected ended.json to say how the training ended; it is damaged or of another version. "
                "Start a training again if its labels are to be learnt."
            )
            return Ended(status="ERROR", when=datetime.fromtimestamp(file.stat().st_mtime, UTC), error=text)

    def tell(self, progress: Progress) -> None:
        """Replace the progress."""
        atomic.write(self.path / "progress.json", progress.model_dump_json().encode())

    def end(self, ended: Ended) -> None:
        """Write the outcome, then delete checkpoints and an unpublished result."""
        atomic.write(self.path / "ended.json", (ended.model_dump_json(indent=1) + "\n").encode())
        for checkpoint in self.path.glob("*/*.pt"):
            checkpoint.unlink(missing_ok=True)
        shutil.rmtree(self.path / "bundle", ignore_errors=True)

    def note(self, **line: Any) -> None:
        """Add a line to the log."""
        with (self.path / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"time": _now().isoformat(timespec="seconds")} | line) + "\n")

    def lines(self) -> list[str]:
        """The last lines of the log."""
        try:
            text = (self.path / "log.jsonl").read_text(encoding="utf-8")
        except OSError:
            return []
        return text.splitlines()[-LINES:]

    @property
    def stopped(self) -> bool:
        """Whether a user stopped it."""
        return (self.path / "stopped").exists()

    def stop(self, stopped: bool) -> None:
        """Mark the job as stopped, or as to be resumed."""
        if stopped:
            atomic.write(self.path / "stopped", b"")
        else:
            atomic.remove(self.path / "stopped")

    def lock(self) -> FileLock:
        """Lock of the process that executes the job; released when the process dies."""
        return FileLock(self.path / ".lock", mode=0o600)

    @property
    def busy(self) -> bool:
        """Whether a process executes it now."""
        lock = self.lock()
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        return False


def create(
    studies: Path, model: str, labels: Sequence[TrainingLabel], settings: FitSettings, **rest: Any
) -> JobFolder:
    """Create a job with these labels; `rest` are further fields of `Job`.

    Raises:
        ModelError: the model's weights are not on this machine.
    """
    from uniultra.weights import loading, tensors
    from uniultra.weights.deployed import Published

    weights = loading.find(model)
    if weights is None:
        raise ModelError(f"The weights of {model!r} are not on this machine; there is nothing to train on.")
    made = _now()
    job = Job(
        id=f"{made:%Y%m%d-%H%M%S%f}-{secrets.token_hex(3)}",
        model=model,
        made=made,
        base_sha256=tensors.file_sha256(weights),
        current=Published(studies).current(model),
        settings=settings,
        labels=tuple(labels),
        **{"seed": len(labels), **rest},
    )
    folder = JobFolder(studies / FOLDER / job.id)
    atomic.write(folder.path / "job.json", (job.model_dump_json(indent=1) + "\n").encode())
    return folder


def jobs(studies: Path) -> list[JobFolder]:
    """All jobs of a studies folder, the oldest first; folders without `job.json` are skipped."""
    folder = studies / FOLDER
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [JobFolder(path) for path in paths if (path / "job.json").is_file()]


def _now() -> datetime:
    return datetime.now(UTC)
