"""`POST /infer/{model}`: masks for prompts, or of a fully automatic model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi.background import BackgroundTasks
from monailabel.endpoints import infer as stock_infer
from monailabel.interfaces.utils.app import app_instance

from uniultra.errors import RequestError
from uniultra.serve.http.uploads import json_object, received
from uniultra.serve.routes.shared import AsUser, JsonText, MaybeFile, Routes, client_sessions


def infer(
    background_tasks: BackgroundTasks,
    model: str,
    user: AsUser,
    image: str = "",
    session_id: str = "",
    params: JsonText = "{}",
    file: MaybeFile = None,
    label: MaybeFile = None,
    output: stock_infer.ResultType | None = None,
) -> Any:
    """Segment an image of the store, of a session or of the request itself."""
    if label is not None:
        raise RequestError(
            'Scribbles are expected in params ("scribbles"), not as a label file. Send them there.'
        )
    sent = json_object(params)
    request = {"model": model, "image": image, **sent}
    app = app_instance()
    if not app.task(request["model"]).needs_prompts and not is_automatic({"model": model}):
        raise RequestError("Expected this model's own address, /infer/{model}; params named it. Ask there.")
    if output == "dicom_seg":
        raise RequestError(
            "DICOM SEG is not written for a studies folder. Ask for output=image or output=all."
        )
    if request.get("result") == "packed" and (output == "image" or request.get("save_label")):
        raise RequestError("A packed answer is no file to send or to save. Leave result out.")
    if session_id:
        result = app.infer_file(request, Path(client_sessions().live(session_id).image))
    elif file is not None and "image" not in sent:
        with received(file) as path:
            try:
                result = app.infer_file(request, path)
            finally:
                app.images.forget(path)
    elif request["image"]:
        result = app.infer(request)
    else:
        raise RequestError("Expected an image id, a session_id or a file; got none. Add ?image=<id>.")
    return stock_infer.send_response(app.datastore(), result, output, background_tasks)


def is_automatic(values: dict[str, Any]) -> bool:
    """Whether the address of an inference names a fully automatic model, so that it may take long."""
    task = app_instance().tasks.get(values["model"])
    return task is not None and not task.needs_prompts


ROUTES: Routes = (("POST", "/infer/{model}", infer),)
