"""Progress and remaining time of a training job, written into its folder."""

from __future__ import annotations

import time

from uniultra.adapt.job import JobFolder, Progress

EPOCH = 10  # steps reported as one epoch, because clients show epochs


class JobProgress:
    """Counts the steps of all fits of a job.

    Args:
        folder: of the job; the time of an interrupted run is read from it and added.
        steps: optimiser steps of each fit.
        fits: number of fits: the folds of a cross-validation and the final training.
    """

    def __init__(self, folder: JobFolder, steps: int, fits: int) -> None:
        self.folder, self.steps, self.fits = folder, steps, fits
        before = folder.progress()
        self._before = before.total_time if before else 0.0
        self._began = time.monotonic()
        self._fit, self._step, self._worked = 0, 0, 0
        self._phase = "reading labels"
        self._loss: float | None = None
        self._best: float | None = None
        self.tell(self._phase)

    @property
    def seconds(self) -> float:
        """Working time so far, over all runs of the job."""
        return self._before + time.monotonic() - self._began

    def begin(self, fit: int, phase: str) -> None:
        """A fit begins, or resumes."""
        self._fit, self._step = fit, 0
        self.tell(phase)

    def skip(self, fit: int) -> None:
        """A fit was done before, or is not needed."""
        self._fit, self._step = fit, self.steps

    def step(self, step: int, loss: float) -> None:
        """A step of the current fit is done."""
        self._step, self._loss, self._worked = step, loss, self._worked + 1
        if step % EPOCH == 0 or step == self.steps:
            self.tell(self._phase)

    def score(self, dice: float) -> None:
        """Mean Dice over the folds so far."""
        self._best = dice
        self.tell(self._phase)

    def tell(self, phase: str) -> None:
        """Write the progress, under the name of a phase."""
        self._phase = phase
        total, done = self.steps * self.fits, self.steps * self._fit + self._step
        left = None
        if phase == "done":
            done, left = total, 0.0
        elif self._worked:
            left = round((total - done) * (time.monotonic() - self._began) / self._worked, 1)
        progress = Progress(
            phase=phase,
            epoch=done // EPOCH,
            total_epochs=-(-total // EPOCH),
            loss=None if self._loss is None else round(self._loss, 5),
            best_metric=None if self._best is None else round(self._best, 5),
            total_time=round(self.seconds, 1),
            seconds_left=left,
        )
        self.folder.tell(progress)
        self.folder.note(**progress.model_dump(exclude_none=True))
