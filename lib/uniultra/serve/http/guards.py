"""Checks before MONAI Label's own endpoints run, on values as they are after `params` is merged."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from typing import Any

from monailabel.interfaces.utils.app import app_instance

from uniultra.errors import RequestError
from uniultra.serve.http.thread_pools import Guard
from uniultra.serve.http.uploads import json_object
from uniultra.store.catalogue.ids import check_tag
from uniultra.store.errors import NotFoundError, ProtectedError


def check_form(values: dict[str, Any]) -> None:
    """Form fields that hold JSON hold an object."""
    for key in ("params", "info"):
        if isinstance(values.get(key), str):
            json_object(values[key])


def check_strategy(values: dict[str, Any]) -> None:
    """The strategy exists; its labels and tag are plain."""
    merged = _merged(values, "strategy", "strategies")
    if merged.get("label_tag") is not None:
        check_tag(merged["label_tag"])


def check_scoring(values: dict[str, Any]) -> None:
    """The scoring method exists."""
    refuse_code(_merged(values, "method", "scoring"))


def _merged(values: dict[str, Any], key: str, kind: str) -> dict[str, Any]:
    """The options of a task as MONAI Label merges them: `params` may name another task than the address."""
    merged: dict[str, Any] = {key: values[key], **(values.get("params") or {})}
    check_known(merged[key], app_instance().info()[kind], key)
    return merged


def check_all(values: dict[str, Any]) -> None:
    """Options for several tasks at once, one object each."""
    params = values.get("params") or {}
    for options in (params, *(v for v in params.values() if isinstance(v, dict))):
        refuse_code(options)


def check_gpu(values: dict[str, Any]) -> None:
    """MONAI Label runs `nvidia-smi`."""
    if shutil.which("nvidia-smi") is None:
        raise NotFoundError("This server has no nvidia-smi to ask, most likely because it has no GPU.")


def refused(status: type[RequestError], text: str) -> Guard:
    """A guard that lets nothing through."""

    def guard(values: dict[str, Any]) -> None:
        raise status(text)

    return guard


_no_slides = refused(NotFoundError, "Whole-slide images are not served here. Use /infer/{model}.")
# by the name of MONAI Label's endpoint
GUARDS: dict[str, Callable[[dict[str, Any]], None]] = {
    "api_sample": check_strategy,
    "scoring.api_run": check_all,
    "scoring.api_run_method": check_scoring,
    "gpu_info": check_gpu,
    "api_update_model": refused(
        ProtectedError, "Weights are published by training, not uploaded. Nothing was changed."
    ),
    "api_delete_model": refused(ProtectedError, "Weights are not deleted over HTTP. Nothing was changed."),
    "api_run_wsi_inference": _no_slides,
    "api_run_wsi_v2_inference": _no_slides,
    "api_get_ohif": refused(NotFoundError, "No OHIF viewer is served here. Use 3D Slicer."),
}


def guard_for(module: str, name: str) -> Guard:
    """The check for one of MONAI Label's endpoints."""
    short = module.rpartition(".")[2]
    return GUARDS.get(f"{short}.{name}") or GUARDS.get(name) or check_form


def check_known(name: object, known: Mapping[str, Any], what: str) -> None:
    """Refuse a name that is not in `known`.

    Raises:
        NotFoundError: the text lists the known ones.
    """
    if not isinstance(name, str) or name not in known:
        names = ", ".join(known) or "none"
        raise NotFoundError(f"There is no {what} of that name. There are: {names}.")


def refuse_code(merged: dict[str, Any]) -> None:
    """Refuse options that name a folder or file of the server.

    Raises:
        RequestError: there is one.
    """
    # MONAI Label puts bundle_path on the search path of a new Python process
    if "bundle_path" in merged or "model_filename" in merged:
        raise RequestError("Expected options of the task; got a file or folder of the server. Leave it out.")
