"""`POST /prefetch/{model}`: encode a frame before it is clicked on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import Response
from monailabel.interfaces.utils.app import app_instance

from uniultra.errors import RequestError
from uniultra.images.types import Plane
from uniultra.serve.http.uploads import json_object
from uniultra.serve.routes.shared import AsUser, JsonText, Routes, client_sessions
from uniultra.serve.wire import requests


def prefetch(
    response: Response,
    model: str,
    user: AsUser,
    image: str = "",
    session_id: str = "",
    params: JsonText = "{}",
) -> dict[str, Any]:
    """Encode a plane of an image of the store or of a session: 200 when it is already, else 202 at once."""
    given = requests.parse(json_object(params))
    if given.plane is None:
        raise RequestError('Expected "plane": {"axis": "k", "index": n} in params; got none. Name the plane.')
    app = app_instance()
    task = app.task(model)
    if not task.needs_prompts:
        raise RequestError(
            "Expected an interactive model; this one is fully automatic and takes no prompts. Choose another."
        )
    task.check_weights()
    if session_id:
        path = Path(client_sessions().live(session_id).image)
    elif image:
        path = Path(app.datastore().get_image_uri(image))
    else:
        raise RequestError("Expected an image id or a session_id; got none. Add ?image=<id>.")
    plane = Plane(given.plane.axis, given.plane.index)
    cached = app.prefetches.wish(task.predictor, path, given.axis_kind, plane)
    response.status_code = 200 if cached else 202
    return {"cached": cached}


ROUTES: Routes = (("POST", "/prefetch/{model}", prefetch),)
