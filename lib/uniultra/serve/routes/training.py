"""`/train/`: MONAI Label's addresses over training jobs that survive the end of a server."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from fastapi import HTTPException
from monailabel.interfaces.utils.app import app_instance

from uniultra.errors import RequestError
from uniultra.serve.dashboard import learning
from uniultra.serve.http.guards import check_all, check_known, refuse_code
from uniultra.serve.routes.shared import AsAdmin, AsUser, JsonBody, Routes
from uniultra.serve.tasks.train_jobs import BusyError, Trainings
from uniultra.store.errors import NotFoundError

_jobs: WeakKeyDictionary[Any, learning.Jobs] = WeakKeyDictionary()  # of each app: /reload makes a new one


def start(
    model: str,
    user: AsAdmin,
    params: JsonBody = None,
    run_sync: bool | None = False,
    enqueue: bool | None = False,
) -> Any:
    """Train a model on the campaign's labels; its record."""
    return _begin({"model": model, **(params or {})}, bool(run_sync), bool(enqueue))


def start_all(user: AsAdmin, params: JsonBody = None, run_sync: bool | None = False) -> Any:
    """Train every model there is a trainer for, one after the other."""
    given = params or {}
    check_all({"params": given})
    options = {model: {} if given.get(model) is None else given[model] for model in app_instance().trainers}
    if not all(isinstance(option, dict) for option in options.values()):
        raise RequestError(
            'Expected the options of each model as an object, such as {"steps": 100}; got something else. '
            "Nothing was started. Correct it, or leave the model out."
        )
    return {
        model: {
            "result": _begin({"model": model, **option}, bool(run_sync), True),
            "detail": None,
        }
        for model, option in options.items()
    }


def status(user: AsUser, all: bool = False, check_if_running: bool = False) -> Any:
    """The newest training, all of them, or the one that is running."""
    trainings = _trainings()
    if check_if_running:
        current = trainings.current()
        if current is None:
            raise NotFoundError("No training is running now.")
        return current
    records = trainings.records()
    if not records:
        raise NotFoundError("No training has run over this studies folder.")
    return records if all else records[-1]


def stop(user: AsAdmin) -> Any:
    """Stop the training that is running; what it has done is kept. Null when there is none."""
    return _trainings().stop()


def curve(user: AsUser) -> dict[str, Any]:
    """The newest training: state, loss and Dice by epoch; and the adapter its model answers with now."""
    app = app_instance()
    jobs = _jobs.setdefault(app, learning.Jobs(app.trainings.studies))
    newest = learning.training(jobs.read(), None).model_dump(mode="json", exclude={"missing"})
    task = app.tasks.get(newest["model"])
    return {**newest, "adapter": task.adapter()["adapter"] if task is not None and task.is_valid() else None}


def _begin(request: dict[str, Any], run_sync: bool, enqueue: bool) -> Any:
    check_known(request["model"], app_instance().trainers, "trainer")
    refuse_code(request)
    trainings = _trainings()
    try:
        begun = trainings.start(request["model"], request, enqueue=enqueue)
    except BusyError as error:
        raise HTTPException(429, str(error)) from None
    return trainings.finished(begun) if run_sync else begun


def _trainings() -> Trainings:
    trainings: Trainings = app_instance().trainings
    return trainings


ROUTES: Routes = (
    ("POST", "/train/{model}", start),
    ("POST", "/train/", start_all),
    ("GET", "/train/", status),
    ("DELETE", "/train/", stop),
    ("GET", "/train/curve", curve),
)
