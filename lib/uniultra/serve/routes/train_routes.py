"""MONAI Label's `/train`, over jobs that go on after any end."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, HTTPException
from monailabel.interfaces.utils.app import app_instance

from uniultra.errors import RequestError
from uniultra.serve.http.guards import check_all, refuse_code
from uniultra.serve.http.thread_pools import Endpoint
from uniultra.serve.routes.batch_routes import AsAdmin, AsUser
from uniultra.serve.tasks.training import BusyError, Trainings
from uniultra.store.errors import NotFoundError

Params = Annotated[dict[str, Any] | None, Body()]


def start(
    model: str,
    user: AsAdmin,
    params: Params = None,
    run_sync: bool | None = False,
    enqueue: bool | None = False,
) -> Any:
    """Train a model on the campaign's labels; its record."""
    return _begin({"model": model, **(params or {})}, bool(run_sync), bool(enqueue))


def start_all(user: AsAdmin, params: Params = None, run_sync: bool | None = False) -> Any:
    """Train every model there is a trainer for, one after the other."""
    given = params or {}
    check_all({"params": given})
    known = _known()
    options = {model: {} if given.get(model) is None else given[model] for model in known}
    if not all(isinstance(one, dict) for one in options.values()):
        raise RequestError(
            'Expected the options of each model as an object, such as {"steps": 100}; got something else. '
            "Nothing was started. Correct it, or leave the model out."
        )
    return {
        model: {
            "result": _begin({"model": model, **options[model]}, bool(run_sync), True),
            "detail": None,
        }
        for model in known
    }


def status(user: AsUser, all: bool = False, check_if_running: bool = False) -> Any:
    """The newest training, all of them, or the one that is running."""
    trainings = _trainings()
    if check_if_running:
        current = trainings.current()
        if current is None:
            raise NotFoundError("No training is running now.")
        return current
    known = trainings.records()
    if not known:
        raise NotFoundError("No training has run over this studies folder.")
    return known if all else known[-1]


def stop(user: AsAdmin) -> Any:
    """Stop the training that is running; what it has done is kept. Null when there is none."""
    return _trainings().stop()


def _begin(request: dict[str, Any], run_sync: bool, enqueue: bool) -> Any:
    known, model = _known(), request["model"]
    if not isinstance(model, str) or model not in known:
        names = ", ".join(known) or "none"
        raise NotFoundError(f"There is no trainer of that name. There are: {names}.")
    refuse_code(request)
    trainings = _trainings()
    try:
        begun = trainings.start(model, request, enqueue=enqueue)
    except BusyError as error:
        raise HTTPException(429, str(error)) from None
    if not run_sync:
        return begun
    trainings.wait()
    return next(one for one in trainings.records() if one["id"] == begun["id"])


def _known() -> dict[str, Any]:
    found: dict[str, Any] = app_instance()._trainers
    return found


def _trainings() -> Trainings:
    found: Trainings = app_instance().trainings
    return found


TRAIN_ROUTES: tuple[tuple[str, str, Endpoint], ...] = (
    ("POST", "/train/{model}", start),
    ("POST", "/train/", start_all),
    ("GET", "/train/", status),
    ("DELETE", "/train/", stop),
)
