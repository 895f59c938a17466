"""What the trainings made: each one's verdict, and the one that runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from uniultra.adapt.gate import Verdict
from uniultra.adapt.job import Ended, JobFolder, Progress, jobs
from uniultra.errors import ModelError
from uniultra.serve.dashboard.schema import Adapter, CurvePoint, Training
from uniultra.store.types import Revision
from uniultra.weights.deployed import Current

POINTS = 300  # of a curve, at most


@dataclass(frozen=True)
class TrainingJob:
    """A job, without the labels it was given: `labels` is how many."""

    folder: JobFolder
    model: str
    made: datetime
    labels: int
    ended: Ended | None


class Jobs:
    """The jobs of a studies folder; those that have ended are read once, because they never change."""

    def __init__(self, studies: Path) -> None:
        self._studies = studies
        self._kept: dict[Path, TrainingJob] = {}
        self._trained_on: tuple[Path, frozenset[Revision]] | None = None

    def read(self) -> list[TrainingJob]:
        """All jobs that can be read, the oldest first."""
        readable = []
        for folder in jobs(self._studies):
            job = self._kept.get(folder.path)
            if job is None:
                try:
                    record = folder.job()
                except ModelError:
                    continue
                job = TrainingJob(folder, record.model, record.made, len(record.labels), folder.ended())
                if job.ended is not None:
                    self._kept[folder.path] = job
            readable.append(job)
        return readable

    def trained_on(self, job: TrainingJob) -> frozenset[Revision]:
        """The labels that a job was given; cached for the job of the last call."""
        if self._trained_on is None or self._trained_on[0] != job.folder.path:
            labels = job.folder.job().labels
            self._trained_on = job.folder.path, frozenset((each.image, each.revision) for each in labels)
        return self._trained_on[1]


def adapters(current: Current, jobs: Sequence[TrainingJob]) -> tuple[Adapter, ...]:
    """Each verdict of the gate, and each change by hand, in order of time."""
    serving = {bundle for bundle in current.models.values() if bundle is not None}
    listed = [
        _judged(job, job.ended, job.ended.verdict, serving)
        for job in jobs
        if job.ended is not None and job.ended.verdict is not None
    ]
    judged = {adapter.id for adapter in listed}
    for change in current.history:
        if change.what == "published" and change.id in judged:
            continue
        listed.append(Adapter(**dict(change), serving=change.id in serving))
    return tuple(sorted(listed, key=lambda adapter: adapter.when))


def _judged(job: TrainingJob, ended: Ended, verdict: Verdict, serving: set[str]) -> Adapter:
    return Adapter(
        id=ended.adapter,
        model=job.model,
        when=ended.when,
        what="published" if ended.adapter else "refused",
        dice=verdict.new.click if verdict.new else None,
        box=verdict.new.box if verdict.new else None,
        before=verdict.now.click if verdict.now else None,
        gain=verdict.gain,
        low=verdict.low,
        high=verdict.high,
        known=-round(max(old.lost for old in verdict.old), 5) if verdict.old else None,
        labels=job.labels,
        measured=verdict.n,
        rule=verdict.rule,
        why=verdict.why,
        serving=ended.adapter in serving,
    )


def training(jobs: Sequence[TrainingJob], missing: int | None) -> Training:
    """The newest training, or the one that has not ended.

    Args:
        jobs: all of them, the oldest first.
        missing: new labels until the next one begins by itself.
    """
    if not jobs:
        return Training(state="none", missing=missing)
    job = next((job for job in jobs if job.ended is None), jobs[-1])
    return Training(
        state=_state(job),
        model=job.model,
        started=job.made,
        ended=job.ended.when if job.ended else None,
        labels=job.labels,
        message=_message(job.ended),
        curve=curve(job.folder),
        missing=missing,
        **_progress(job.folder.progress()),
    )


def _state(job: TrainingJob) -> Literal["running", "waiting", "published", "refused", "stopped", "failed"]:
    if job.ended is None:
        if job.folder.busy:
            return "running"
        return "stopped" if job.folder.stopped else "waiting"
    if job.ended.status == "ERROR":
        return "failed"
    return "published" if job.ended.adapter else "refused"


def _message(ended: Ended | None) -> str:
    """The gate's words, else the error."""
    if ended is None:
        return ""
    return (ended.verdict.why if ended.verdict else ended.error) or ""


def _progress(progress: Progress | None) -> dict[str, Any]:
    if progress is None:
        return {"phase": "starting"}
    return {
        "phase": progress.phase,
        "epoch": progress.epoch,
        "epochs": progress.total_epochs,
        "loss": progress.loss,
        "dice": progress.best_metric,
        "left_s": progress.seconds_left,
    }


def curve(folder: JobFolder) -> tuple[CurvePoint, ...]:
    """Loss and Dice by epoch, from the job's log; thinned evenly to about `POINTS`."""
    try:
        lines = (folder.path / "log.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    points: dict[int, CurvePoint] = {}
    dice = None
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # the end of a line that is being written
        if not isinstance(entry, dict) or not isinstance(epoch := entry.get("epoch"), int):
            continue
        # an entry repeats the Dice of the folds so far: only where it changes, it is that of this epoch
        changed, dice = entry.get("best_metric") != dice, entry.get("best_metric")
        before = points[epoch].dice if epoch in points else None
        points[epoch] = CurvePoint(epoch=epoch, loss=entry.get("loss"), dice=dice if changed else before)
    ordered = [points[epoch] for epoch in sorted(points)]
    step = -(-len(ordered) // POINTS) or 1
    last = len(ordered) - 1
    return tuple(
        point for n, point in enumerate(ordered) if n % step == 0 or point.dice is not None or n == last
    )
