"""`/batch/infer`: MONAI Label's addresses over batch runs in this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import HTTPException
from monailabel.interfaces.tasks.batch_infer import BatchInferImageType
from monailabel.interfaces.utils.app import app_instance

from uniultra.errors import RequestError
from uniultra.serve.http.guards import refuse_code
from uniultra.serve.routes.shared import AsAdmin, AsUser, JsonBody, Routes
from uniultra.serve.tasks.batch import Result
from uniultra.serve.tasks.batch_runs import BatchRuns, in_background
from uniultra.serve.tasks.cancellation import CancelCheck
from uniultra.store.errors import NotFoundError


def start(
    model: str,
    user: AsAdmin,
    images: BatchInferImageType | None = BatchInferImageType.IMAGES_ALL,
    params: JsonBody = None,
    run_sync: bool | None = False,
) -> Any:
    """Segment the images of the store; the record of the run, or with `run_sync` its results."""
    app = app_instance()
    request = {"model": model, "images": images.value if images else "all", **(params or {})}
    refuse_code(request)
    task = app.task(request["model"])
    if task.needs_prompts:
        raise RequestError(
            "Expected a fully automatic model; this one is interactive. Click on an image instead."
        )
    if not app._batch_infer:
        raise NotFoundError("Batch inference is off. Start with MONAI_LABEL_TASKS_BATCH_INFER=true.")
    task.check_weights()
    whole, store = app._batch_infer, app.datastore()
    chosen = whole.images(request, store)
    run = app.batches.begin(request, len(chosen))
    if run is None:
        raise HTTPException(429, "A batch is running. Wait for it, or stop it with DELETE /batch/infer.")

    def work(check_cancelled: CancelCheck) -> Iterator[Result]:
        return whole.results(chosen, request, store, app.infer, check_cancelled)

    if run_sync:
        return run.follow(work)
    in_background(run, work)
    return run.record


def status(user: AsUser, all: bool = False, check_if_running: bool = False) -> Any:
    """The newest run, all of them, or the one that is running."""
    runs: BatchRuns = app_instance().batches
    current, records = runs.current(), runs.records()
    if check_if_running:
        if current is None:
            raise NotFoundError("No batch is running now.")
        return current.record
    if not records:
        raise NotFoundError("No batch has run since the server started.")
    return records if all else records[-1]


def stop(user: AsAdmin) -> Any:
    """End the present run after the frame it is at; null when there is none."""
    current = app_instance().batches.current()
    if current is None:
        return None
    current.stop()
    return current.record


ROUTES: Routes = (
    ("POST", "/batch/infer/{model}", start),
    ("GET", "/batch/infer", status),
    ("DELETE", "/batch/infer", stop),
)
