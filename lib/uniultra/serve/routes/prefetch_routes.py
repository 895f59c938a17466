"""`POST /prefetch/{model}`: a picture that will be clicked on, encoded before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import Response
from monailabel.interfaces.utils.app import app_instance

from uniultra.errors import RequestError
from uniultra.images.types import Plane
from uniultra.serve.http.thread_pools import Endpoint
from uniultra.serve.http.uploads import json_object
from uniultra.serve.routes.routes import AsUser, JsonText, live_session
from uniultra.serve.wire import wire


def prefetch(
    response: Response,
    model: str,
    user: AsUser,
    image: str = "",
    session_id: str = "",
    params: JsonText = "{}",
) -> dict[str, Any]:
    """Encode a plane of an image of the store or of a session: 200 when it is already, else 202 at once."""
    asked = wire.parse(json_object(params))
    if asked.plane is None:
        raise RequestError('Expected "plane": {"axis": "k", "index": n} in params; got none. Name the plane.')
    app = app_instance()
    task = app.task(model)
    if not task.needs_prompts:
        raise RequestError("Expected a model that takes prompts; this one segments of its own accord.")
    task.check_weights()
    if session_id:
        path = Path(live_session(session_id))
    elif image:
        path = Path(app.datastore().get_image_uri(image))
    else:
        raise RequestError("Expected an image id or a session_id; got none. Add ?image=<id>.")
    plane = Plane(asked.plane.axis, asked.plane.index)
    cached = app.prefetches.wish(task.predictor, path, asked.axis_kind, plane)
    response.status_code = 200 if cached else 202
    return {"cached": cached}


PREFETCH_ROUTES: tuple[tuple[str, str, Endpoint], ...] = (("POST", "/prefetch/{model}", prefetch),)
