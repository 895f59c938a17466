"""Kills of training processes."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crashes import made, trainer
from crashes.schema import Part, Violation
from crashes.store import PATIENCE, Child, context

from uniultra.adapt.job import Ended, JobFolder, create
from uniultra.errors import UniUltraError
from uniultra.store.store import LabelStore
from uniultra.weights import bundle, loading, tensors
from uniultra.weights.deployed import Published

MODEL = "uniultra_mini"
PICTURES = 4
KILLS_EACH = 5  # of one job
LONGEST = 600.0


class TrainKills:
    """Kills of trainings, each job killed some times and then let go to its end.

    Every job is of the same labels, settings and seed, so every one has to end with the same adapter as one
    that nobody killed.

    Args:
        part: to count in.
        violations: to add to.
        folder: to work in.
    """

    def __init__(self, part: Part, violations: list[Violation], folder: Path) -> None:
        self.part, self.violations, self.folder = part, violations, folder
        self.context, self.restarts = context(), list[float]()
        self.seed = self.number = 0

    def run(self, kills: int, seed: int) -> None:
        """Kill so often."""
        began = time.monotonic()
        before = os.environ.get("UNIULTRA_WEIGHTS")
        os.environ["UNIULTRA_WEIGHTS"] = str(self.folder / "weights")
        try:
            made.small_weights(self.folder / "weights")
            self._template()
            begun = time.monotonic()
            straight = self._new("straight")
            child = self._start(straight)
            child.process.join()
            self.span = time.monotonic() - begun
            self.expected = self._result(straight)
            if self.expected[1] is None:
                self._complain("the undisturbed training published nothing")
            while self.part.kills < kills:
                self._job(min(KILLS_EACH, kills - self.part.kills), seed)
                seed += 1
        finally:
            os.environ.pop("UNIULTRA_WEIGHTS")
            if before is not None:
                os.environ["UNIULTRA_WEIGHTS"] = before
        self.part.seconds = round(time.monotonic() - began, 1)

    def _template(self) -> None:
        """A campaign with a label on each picture, each of another patient."""
        studies = self.folder / "template"
        made.pictures(studies, PICTURES)
        (studies / "campaign.yaml").write_text("patients: {by: path, pattern: '(image[0-9]+)'}\n")
        store, scratch = LabelStore(studies), self.folder / "label.png"
        for n in range(PICTURES):
            scratch.write_bytes(made.mask(n, (n,)))
            store.save(f"image{n:03}", scratch, annotator="anna")
        self.labels = store.trainable()
        store.index.close()

    def _new(self, name: str) -> JobFolder:
        studies = self.folder / name
        shutil.copytree(self.folder / "template", studies)
        values: dict[str, Any] = {"folds": 2, "scenes": 1, "nice": 0, "device": "cpu", "seed": 5}
        return create(studies, MODEL, self.labels, made.TINY, **values)

    def _job(self, kills: int, seed: int) -> None:
        self.part.seeds.append(seed)
        self.seed, self.number, chance = seed, 0, random.Random(seed)
        job = self._new(f"job{seed}")
        while self.number < kills and job.ended() is None:
            self._kill(job, chance)
            self._look(job)
        self._end(job)
        if (found := self._result(job)) != self.expected:
            self._complain(f"a killed job ended differently from an undisturbed job: {found}")
        self.part.add("acknowledged", "jobs")
        shutil.rmtree(job.studies)

    def _kill(self, job: JobFolder, chance: random.Random) -> None:
        """Start the process and kill it: at any moment, or soon after it has come to a certain place."""
        child = self._start(job)
        place = chance.choice(list(PLACES))
        _wait(child, lambda: PLACES[place](job))
        time.sleep(chance.random() * (self.span if place == "anywhere" else 0.6))
        alive = child.process.is_alive() and job.ended() is None
        child.kill()
        if not alive:
            return
        self.number += 1
        self.part.kills += 1
        progress = job.progress()
        self.part.add("moments", progress.phase if progress else "before the first word")

    def _start(self, job: JobFolder) -> Child:
        ours, theirs = self.context.Pipe(duplex=False)
        values = (theirs, str(job.path), str(self.folder / "weights"))
        process = self.context.Process(target=trainer.work, args=values, daemon=True)
        process.start()
        theirs.close()
        if not ours.poll(PATIENCE):
            raise RuntimeError("a process did not begin")
        return Child(process, ours)

    def _look(self, job: JobFolder) -> None:
        """What stands there after a kill is whole, and is what answered before or the new one."""
        self.part.checked += 3
        if job.busy:
            self._complain("a dead process still holds its job")
        try:
            job.job()
            published = Published(job.studies)
            current = published.current(MODEL)
            for one in published.ids():
                loading.assemble(published.path(one), name=MODEL)
            if current is not None and current != self.expected[1]:
                self._complain("another adapter answers")
        except UniUltraError as error:
            self._complain(f"something is damaged after a kill: {error}")
        if [label.sha256 for label in LabelStore(job.studies).trainable()] != [
            label.sha256 for label in self.labels
        ]:
            self._complain("a label changed")

    def _end(self, job: JobFolder) -> None:
        """Let the job resume and finish, with the server's command."""
        command = [sys.executable, "-m", "uniultra.adapt.process", str(job.path)]
        command += ["--parent", str(os.getpid())]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        began = time.monotonic()
        code = subprocess.run(command, env=environment, timeout=LONGEST, stderr=subprocess.DEVNULL).returncode
        self.restarts.append(time.monotonic() - began)
        if code:
            self._complain(f"a job that was gone on with ended with status {code}")

    def _result(self, job: JobFolder) -> tuple[str, str | None, str | None]:
        """How a job ended: status, what answers now, the SHA-256 of its weights as they are read."""
        ended: Ended | None = job.ended()
        if ended is None:
            return "NOT ENDED", None, None
        published = Published(job.studies)
        current = published.current(MODEL)
        if current != ended.adapter:
            self._complain("what answers is not what the job says")
        if current is None:
            return ended.status, None, ended.error
        digest = tensors.file_sha256(published.path(current) / bundle.WEIGHTS)
        loading.assemble(published.path(current), name=MODEL)
        return ended.status, current, digest

    def _complain(self, what: str) -> None:
        self.violations.append(Violation(part="train", seed=self.seed, number=self.number, what=what))


def _phase(*phases: str) -> Callable[[JobFolder], bool]:
    def reached(job: JobFolder) -> bool:
        progress = job.progress()
        return progress is not None and progress.phase in phases

    return reached


# where a process is waited for before it is killed
PLACES: dict[str, Callable[[JobFolder], bool]] = {
    "anywhere": lambda job: True,
    "training": _phase("fold-0", "fold-1", "final"),
    "second fold": _phase("fold-1", "final", "measuring"),
    "publishing": _phase("looking back", "done"),
}


def _wait(child: Child, until: Callable[[], bool]) -> None:
    end = time.monotonic() + LONGEST
    while not until() and child.process.is_alive() and time.monotonic() < end:
        time.sleep(0.005)


def work(part: Part, violations: list[Violation], kills: int, seed: int) -> list[float]:
    """All of it in a folder of its own; seconds until each job ended at last."""
    with tempfile.TemporaryDirectory() as name:
        found = TrainKills(part, violations, Path(name))
        found.run(kills, seed)
        return found.restarts
