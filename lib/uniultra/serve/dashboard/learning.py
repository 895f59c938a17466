"""What the trainings made: each one's verdict, and the one that runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from uniultra.adapt.gate import Verdict
from uniultra.adapt.job import Ended, JobFolder, jobs
from uniultra.errors import ModelError
from uniultra.serve.dashboard.facts import GOOD, Facts
from uniultra.serve.dashboard.schema import Adapter, CurvePoint, Training
from uniultra.store.types import FINAL
from uniultra.weights.deployed import Current

POINTS = 300  # of a curve, at most
Had = frozenset[tuple[str, int]]


@dataclass(frozen=True)
class Known:
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
        self._kept: dict[Path, Known] = {}
        self._had: tuple[Path, Had] | None = None

    def read(self) -> list[Known]:
        """All jobs that can be read, the oldest first."""
        found = []
        for folder in jobs(self._studies):
            known = self._kept.get(folder.path)
            if known is None:
                try:
                    job = folder.job()
                except ModelError:
                    continue
                known = Known(folder, job.model, job.made, len(job.labels), folder.ended())
                if known.ended is not None:
                    self._kept[folder.path] = known
            found.append(known)
        return found

    def had(self, known: Known) -> Had:
        """Image and revision of each label that a job was given; kept of the one asked for last."""
        if self._had is None or self._had[0] != known.folder.path:
            labels = known.folder.job().labels
            self._had = known.folder.path, frozenset((one.image, one.revision) for one in labels)
        return self._had[1]


def adapters(current: Current, known: Sequence[Known]) -> tuple[Adapter, ...]:
    """Each verdict of the gate, and each change by hand, in order of time."""
    serving = {bundle for bundle in current.models.values() if bundle is not None}
    found = [
        _judged(one, one.ended, one.ended.verdict, serving)
        for one in known
        if one.ended is not None and one.ended.verdict is not None
    ]
    by_id = {one.id: one for one in found if one.id is not None}
    for change in current.history:
        if change.what == "published" and change.id in by_id:
            continue
        same = {"id": change.id, "model": change.model, "when": change.when, "what": change.what}
        found.append(Adapter.model_validate({**same, "serving": change.id in serving}))
    return tuple(sorted(found, key=lambda one: one.when))


def _judged(job: Known, ended: Ended, verdict: Verdict, serving: set[str]) -> Adapter:
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


def training(known: Sequence[Known], missing: int | None) -> Training:
    """The newest training, or the one that has not ended.

    Args:
        known: all jobs.
        missing: new labels until the next one begins by itself.
    """
    if not known:
        return Training(state="none", missing=missing)
    job = next((one for one in known if one.ended is None), known[-1])
    folder, ended = job.folder, job.ended
    progress = folder.progress()
    if ended is not None:
        state = "failed" if ended.status == "ERROR" else "published" if ended.adapter else "refused"
    else:
        state = "running" if folder.busy else "stopped" if folder.stopped else "waiting"
    verdict = ended.verdict if ended else None
    return Training.model_validate(
        {
            "state": state,
            "model": job.model,
            "started": job.made,
            "ended": ended.when if ended else None,
            "phase": progress.phase if progress else "starting",
            "epoch": progress.epoch if progress else None,
            "epochs": progress.total_epochs if progress else None,
            "loss": progress.loss if progress else None,
            "dice": progress.best_metric if progress else None,
            "left_s": progress.seconds_left if progress else None,
            "labels": job.labels,
            "message": (verdict.why if verdict else ended.error if ended else "") or "",
            "curve": curve(folder),
            "missing": missing,
        }
    )


def curve(folder: JobFolder) -> tuple[CurvePoint, ...]:
    """Loss and Dice by epoch, as the job's log tells them; thinned evenly where there are very many."""
    try:
        lines = (folder.path / "log.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    points: dict[int, CurvePoint] = {}
    dice = None
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:
            continue  # the end of a line that is being written
        if not isinstance(told, dict) or not isinstance(told.get("epoch"), int):
            continue
        new = told.get("best_metric")
        changed, dice = new != dice, new
        before = points.get(told["epoch"])
        kept = new if changed else before.dice if before else None
        points[told["epoch"]] = CurvePoint(epoch=told["epoch"], loss=told.get("loss"), dice=kept)
    found = [points[epoch] for epoch in sorted(points)]
    step = -(-len(found) // POINTS) or 1
    return tuple(
        one for n, one in enumerate(found) if n % step == 0 or one.dice is not None or n == len(found) - 1
    )


def missing(facts: Facts, had: Had, after: int, trains: str) -> int | None:
    """How many labels are still missing until a training begins by itself; None where it never does.

    Args:
        facts: the labels.
        had: those that the newest training was given.
        after: new labels that it takes, 0 for never.
        trains: which labels the campaign trains on.
    """
    if not after or (facts.readers > 1 and trains == "consensus"):
        return None  # a consensus is made when a training begins, not before
    good = ("approved",) if facts.readers > 1 and trains == "adjudicated" else GOOD
    newest: dict[str, int] = {}
    for one in facts.versions:
        if one.tag == FINAL and facts.state(one) in good:
            newest[one.image] = max(one.revision, newest.get(one.image, 0))
    return max(0, after - len(set(newest.items()) - had))
