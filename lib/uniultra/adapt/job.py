"""A training job as a folder: what it is to do, how far it is, how it ended.

<studies>/.uniultra/training/<job>/
  job.json        what to do, with the labels as they were when it began; written once
  progress.json   how far it is, replaced after each epoch
  log.jsonl       what happened
  fold-N/, final/ checkpoints while they are needed, and the scores of a fold
  bundle/         the result, until it is published
  stopped         somebody stopped it; it goes on when somebody asks
  ended.json      how it ended; written once, and last
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from uniultra.adapt.gate import Verdict
from uniultra.adapt.settings import FitSettings
from uniultra.errors import ModelError
from uniultra.files import atomic
from uniultra.store.types import TrainingLabel

FOLDER = Path(".uniultra") / "training"
LINES = 20  # of the log, as MONAI Label tells
_STRICT = ConfigDict(frozen=True, extra="forbid")
Kind = TypeVar("Kind", bound=BaseModel)


class Known(BaseModel):
    """Where the admin keeps labelled pictures of old organs: a folder with a manifest."""

    model_config = _STRICT

    folder: Path
    sets: tuple[str, ...] | None = None


class Job(BaseModel):
    """What a training is to do.

    Attributes:
        id: the name of its folder; names are in the order of time.
        model: name in the registry.
        made: when, UTC.
        base_sha256: of the model's own weights, which it starts from.
        current: id of the bundle that answered then; None for the model's own weights. What the result is
            measured against is what answers when it is measured.
        settings, seed: of the training.
        folds: of the cross-validation, while there are few labels.
        labels: what it trains on, as it was then.
        request: as a client sent it.
        device, threads, nice: where it runs and how it makes way for clicks.
        known: pictures of old organs.
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
    """How far a job is; keys that stock clients read have their names."""

    model_config = _STRICT

    phase: str
    epoch: int
    total_epochs: int
    loss: float | None = None
    best_metric: float | None = None
    total_time: float = 0.0
    seconds_left: float | None = None


class Ended(BaseModel):
    """How a job ended.

    Attributes:
        status: `DONE` with a verdict, or `ERROR`.
        when: UTC.
        verdict: the gate's.
        adapter: id of the bundle that was published.
        left_out: labels that were not trained on, with the reason.
        error: in a sentence.
        seconds: of work, over all parts.
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
    """The folder of one job, as the server and the training process see it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def studies(self) -> Path:
        """The studies folder that it lies in."""
        return self.path.parents[2]

    def job(self) -> Job:
        """What to do.

        Raises:
            ModelError: the description is missing or damaged.
        """
        try:
            return Job.model_validate_json((self.path / "job.json").read_bytes())
        except (OSError, ValidationError):
            raise ModelError("Expected job.json in the job's folder; it is missing or damaged.") from None

    def progress(self) -> Progress | None:
        """How far it is; None before it began."""
        return _maybe(self.path / "progress.json", Progress)

    def ended(self) -> Ended | None:
        """How it ended; None as long as there is something to do.

        A job whose end cannot be read has ended all the same: nothing of it is done or published again.
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
        """Replace what is said of its progress."""
        atomic.write(self.path / "progress.json", progress.model_dump_json().encode())

    def end(self, ended: Ended) -> None:
        """Say for good how it ended; checkpoints, and a result that was not published, go."""
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
        """Whether somebody stopped it."""
        return (self.path / "stopped").exists()

    def stop(self, stopped: bool) -> None:
        """Remember that somebody stopped it, or wants it to go on."""
        if stopped:
            atomic.write(self.path / "stopped", b"")
        else:
            atomic.remove(self.path / "stopped")

    def lock(self) -> FileLock:
        """Held by the process that works on it; a process that dies lets go of it."""
        return FileLock(self.path / ".lock", mode=0o600)

    @property
    def busy(self) -> bool:
        """Whether a process works on it now."""
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
    """A new job with these labels; `rest` are further fields of `Job`.

    Raises:
        ModelError: the model's weights are not here.
    """
    from uniultra.weights import loading, tensors
    from uniultra.weights.deployed import Published

    own = loading.find(model)
    if own is None:
        raise ModelError(f"The weights of {model!r} are not on this machine; there is nothing to train on.")
    made = _now()
    job = Job(
        id=f"{made:%Y%m%d-%H%M%S%f}-{secrets.token_hex(3)}",
        model=model,
        made=made,
        base_sha256=tensors.file_sha256(own),
        current=Published(studies).current(model),
        settings=settings,
        labels=tuple(labels),
        **{"seed": len(labels), **rest},
    )
    folder = JobFolder(studies / FOLDER / job.id)
    atomic.write(folder.path / "job.json", (job.model_dump_json(indent=1) + "\n").encode())
    return folder


def jobs(studies: Path) -> list[JobFolder]:
    """All jobs of a studies folder, the oldest first; folders without a description are none."""
    folder = studies / FOLDER
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [JobFolder(path) for path in found if (path / "job.json").is_file()]


def _maybe(path: Path, kind: type[Kind]) -> Kind | None:
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _now() -> datetime:
    return datetime.now(UTC)
