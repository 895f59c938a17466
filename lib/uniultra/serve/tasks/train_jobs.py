"""Training jobs of the server: one at a time, each in its own process, resumed after any interruption.

A job's labels are those that existed when it began. A client that stops the training and starts it again at
every label it submits (stock Slicer's auto-update) therefore never sets it back: the job resumes, and newer
labels go into the next job, which follows automatically.

`Trainings._lock` guards which process runs and what follows it. It is re-entrant, because the end of one
process (`_watch`) begins the next under it. It is never held while a process is waited for: `stop` signals
under the lock and waits outside, else the watching thread could not report the end that `stop` waits for.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from uniultra.adapt import job as jobs
from uniultra.adapt.job import Ended, Job, JobFolder
from uniultra.adapt.process import BUSY
from uniultra.adapt.settings import FitSettings
from uniultra.errors import ModelError, RequestError, UniUltraError
from uniultra.serve.settings import Settings
from uniultra.serve.tasks.train_records import record
from uniultra.store.types import Revision, TrainingLabel
from uniultra.train.recipe import complaint

log = logging.getLogger(__name__)
PROCESS = ("-m", "uniultra.adapt.process")  # what Python runs; the job's folder follows
OPTIONS = ("steps", "rate")  # what a client may change
CRASHES = 3  # of one job before it is given up
PATIENCE = 20.0  # seconds for a training to write its checkpoint when it is stopped
LATER = 60.0  # seconds until a job that another server works on is looked at again


class BusyError(RequestError):
    """Another training is running."""


class Trainings:
    """The trainings of a studies folder.

    Args:
        studies: the folder.
        labels: what the campaign calls trainable now, each file compared with its checksum.
        settings: how to train.
        after: new labels after which a training begins by itself; 0 for never.
        revisions: image and revision of the same labels, without reading a file: it is called at every final
            label, while clients wait. None for those of `labels`.
    """

    def __init__(
        self,
        studies: Path,
        labels: Callable[[], Sequence[TrainingLabel]],
        settings: Settings,
        after: Callable[[], int] = lambda: 0,
        revisions: Callable[[], Collection[Revision]] | None = None,
    ) -> None:
        self.studies, self.labels, self.settings = studies, labels, settings
        self.after = after
        self.revisions = revisions or (lambda: [(label.image, label.revision) for label in self.labels()])
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._running: JobFolder | None = None
        self._queue: list[tuple[str, dict[str, Any]]] = []
        self._follow: set[str] = set()  # models whose newer labels are asked to be trained on too
        self._crashes: Counter[str] = Counter()
        self._unreadable: set[Path] = set()  # folders of jobs that were said to be so
        self._idle = threading.Condition(self._lock)
        self._closed = False

    # what clients ask

    def start(self, model: str, request: dict[str, Any], *, enqueue: bool = False) -> dict[str, Any]:
        """Begin a training, or go on with the one that was stopped; its record.

        Raises:
            BusyError: one is running, and it is not to wait for its turn.
            RequestError: options that cannot be used, or no label to train on.
            ModelError: the model's weights are not here.
        """
        with self._lock:
            if self._running is not None:
                if not enqueue:
                    raise BusyError(
                        "A training is running. Wait for it, stop it with DELETE /train/, or ask with "
                        "enqueue=true."
                    )
                self._queue.append((model, request))
                return record(self._running)
            return record(self._begin(model, request), running=True)

    def stop(self) -> dict[str, Any] | None:
        """Stop the training that runs, which keeps what it has done; its record, None where none runs."""
        with self._lock:
            folder, process = self._running, self._process
            self._queue.clear()
            if folder is None or process is None:
                return None
            folder.stop(True)
            process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()  # its last checkpoint serves
        self.wait(PATIENCE)
        return record(folder)

    def current(self) -> dict[str, Any] | None:
        """The record of the training that runs."""
        with self._lock:
            return None if self._running is None else record(self._running, running=True)

    def records(self) -> list[dict[str, Any]]:
        """All trainings of the folder that can be read, the oldest first."""
        with self._lock:
            running = self._running.path if self._running else None
            known = [(folder, self._job(folder)) for folder in jobs.jobs(self.studies)]
            return [record(one, running=one.path == running, job=job) for one, job in known if job]

    def last(self, model: str) -> JobFolder | None:
        """The newest job of a model."""
        return next(self._of(model, reversed(jobs.jobs(self.studies))), None)

    # what happens by itself

    def labelled(self, model: str) -> None:
        """A label was saved: begin a training if there are enough new ones and none runs."""
        after = self.after()
        if not after:
            return
        with self._lock:
            busy = self._running is not None or self._closed
            # The index alone decides that there is nothing to do. It counts labels that a check of the files
            # leaves out, so a training begins by itself only if enough are left after that check.
            if busy or len(self._fresh(model)) < after or len(self._fresh(model, verified=True)) < after:
                return
            try:
                self.start(model, {"model": model, "automatic": True})
            except UniUltraError as error:
                log.warning("no training began by itself: %s", error)

    def go_on(self) -> None:
        """Go on with a job that the end of a server or a machine cut off."""
        with self._lock:
            for folder in jobs.jobs(self.studies):
                if self._closed:
                    return
                waits = self._running is None and not folder.stopped and folder.ended() is None
                if waits and self._job(folder) is not None:
                    self._launch(folder)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until no training runs; False when the time is over before."""
        with self._idle:
            return self._idle.wait_for(lambda: self._running is None, seconds)

    def finished(self, begun: dict[str, Any]) -> dict[str, Any]:
        """Wait until no training runs; the record that `start` gave, as it is then."""
        self.wait()
        return next(record for record in self.records() if record["id"] == begun["id"])

    def close(self) -> None:
        """End with the server: the training keeps what it has done and is gone on with at the next start."""
        with self._lock:
            self._closed = True
            process = self._process
        if process is not None:
            process.terminate()

    # inside

    def _job(self, folder: JobFolder) -> Job | None:
        """What a job is to do; None where that cannot be read, which is said once."""
        try:
            return folder.job()
        except ModelError:
            if folder.path not in self._unreadable:
                self._unreadable.add(folder.path)
                log.warning("training %s is left out: its job.json cannot be read", folder.path.name)
            return None

    def _of(self, model: str, folders: Iterable[JobFolder]) -> Iterator[JobFolder]:
        """Those of the jobs that adapt a model and can be read."""
        return (folder for folder in folders if (job := self._job(folder)) is not None and job.model == model)

    def _begin(self, model: str, request: dict[str, Any]) -> JobFolder:
        """Go on with a model's job that has not ended, newer labels to follow; else begin a new one."""
        every = self._of(model, jobs.jobs(self.studies))
        folder = next((folder for folder in every if folder.ended() is None), None)
        if folder is None:
            folder = self._new(model, request)
        else:
            folder.stop(False)
            self._follow.add(model)
        self._launch(folder)
        return folder

    def _fresh(self, model: str, *, verified: bool = False) -> set[Revision]:
        """Labels that the newest job of a model did not have: by the index, or after checking every file."""
        last = self.last(model)
        had = {(label.image, label.revision) for label in last.job().labels} if last else set()
        there = {(label.image, label.revision) for label in self.labels()} if verified else self.revisions()
        return set(there) - had

    def _new(self, model: str, request: dict[str, Any]) -> JobFolder:
        found = list(self.labels())
        if not found:
            raise RequestError("Expected final labels to train on; there are none. Label some images first.")
        return jobs.create(
            self.studies,
            model,
            found,
            fit_settings(model, request),
            request=request,
            threads=self.settings.train_threads,
            nice=self.settings.train_nice,
            device=self.settings.device,
            known=self.settings.replay_set,
        )

    def _launch(self, folder: JobFolder) -> None:
        threads = str(folder.job().threads)
        environment = os.environ | {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE"}
        command = [sys.executable, *PROCESS, str(folder.path)]
        with (folder.path / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(
                [*command, "--parent", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        self._running = folder
        log.info("training %s began", folder.path.name)
        threading.Thread(
            target=self._watch, args=(self._process, folder), name="training", daemon=True
        ).start()

    def _watch(self, process: subprocess.Popen[bytes], folder: JobFolder) -> None:
        code = process.wait()
        log.info("the process of training %s ended with %d", folder.path.name, code)
        with self._lock:
            self._process = self._running = None
            try:
                self._next(folder, code)
            except (UniUltraError, OSError) as error:
                log.warning("no further training began: %s", error)
            self._idle.notify_all()

    def _next(self, folder: JobFolder, code: int) -> None:
        """What to do after a process ended with this exit status."""
        if self._closed or folder.stopped:
            return
        if folder.ended() is None:
            if code == BUSY:
                log.info("another server works on training %s; it is looked at again", folder.path.name)
                later = threading.Timer(LATER, self.go_on)
                later.daemon = True
                later.start()
                return
            self._crashes[folder.path.name] += 1
            if self._crashes[folder.path.name] < CRASHES:
                self._launch(folder)
                return
            text = f"The training process died {CRASHES} times; see output.txt in the job's folder."
            folder.end(Ended(status="ERROR", when=datetime.now(UTC), error=text))
        if self._queue:
            self._begin(*self._queue.pop(0))
            return
        model = folder.job().model
        if model in self._follow:
            self._follow.discard(model)
            if self._fresh(model) and self._fresh(model, verified=True):
                self._begin(model, {"model": model, "automatic": True})
            return
        self.labelled(model)


def fit_settings(model: str, request: dict[str, Any]) -> FitSettings:
    """The settings of a training with what a client changed of them.

    Raises:
        RequestError: a value that cannot be used.
    """
    changes = {key: request[key] for key in OPTIONS if request.get(key) is not None}
    plain = FitSettings.of(model)
    try:
        return FitSettings.model_validate(plain.model_dump() | changes)
    except ValidationError as error:
        wrong = "; ".join(complaint(dict(one)) for one in error.errors()[:4])
        raise RequestError(f"The training cannot be set so: {wrong}.") from None
