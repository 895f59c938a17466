"""Routes of our own under MONAI Label's addresses, with its answers and with checks it lacks."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, File, Form, HTTPException, UploadFile
from fastapi.background import BackgroundTasks
from fastapi.responses import FileResponse
from monailabel.config import settings
from monailabel.endpoints import infer as stock_infer
from monailabel.endpoints.user.auth import RBAC, User
from monailabel.interfaces.utils.app import app_instance
from monailabel.utils.others.generic import file_checksum, get_mime_type, remove_file
from monailabel.utils.sessions import SessionInfo

from uniultra.errors import ImageError, RequestError
from uniultra.images import read_image
from uniultra.serve.http.thread_pools import Endpoint
from uniultra.serve.http.uploads import json_object, plain_name, received
from uniultra.serve.tasks.image_cache import only_image
from uniultra.serve.tasks.sessions import CheckedSessions
from uniultra.serve.wire.calibrations import calibration
from uniultra.store.catalogue.ids import split_name
from uniultra.store.errors import NotFoundError

OneFile = Annotated[UploadFile, File()]
MaybeFile = Annotated[UploadFile | None, File()]
JsonText = Annotated[str, Form()]
AsUser = Annotated[User, Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_USER))]
AsAnnotator = Annotated[User, Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_ANNOTATOR))]


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
    if not app.task(request["model"]).needs_prompts and not segments_alone({"model": model}):
        raise RequestError("Expected this model's own address, /infer/{model}; params named it. Ask there.")
    if output == "dicom_seg":
        raise RequestError(
            "DICOM SEG is not written for a studies folder. Ask for output=image or output=all."
        )
    if request.get("result") == "packed" and (output == "image" or request.get("save_label")):
        raise RequestError("A packed answer is no file to send or to save. Leave result out.")
    if session_id:
        result = app.infer_file(request, Path(_sessions().live(session_id).image))
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


def segments_alone(values: dict[str, Any]) -> bool:
    """Whether the address of an inference names a model that may take its time over a whole image."""
    found = app_instance()._infers.get(values["model"])
    return found is not None and not found.needs_prompts


def create_session(
    user: AsUser,
    files: Annotated[list[UploadFile], File()],
    uncompress: bool = False,
    expiry: int = 0,
) -> dict[str, Any]:
    """Keep an upload for later prompts; a header and its data file may come together."""
    if uncompress:
        raise RequestError("Archives are not unpacked here. Upload the image itself, without uncompress.")
    with tempfile.TemporaryDirectory(prefix="uniultra-") as name:
        folder = Path(name) / "upload"
        folder.mkdir()
        for upload in files:
            own = plain_name(upload)
            own = own if len(files) > 1 else f"image{split_name(own)[1].lower()}"
            with received(upload) as path:
                shutil.move(path, folder / own)
        read_image(only_image(folder))  # what cannot be read is refused now, not at the first click
        source = folder if len(files) > 1 else next(folder.iterdir())
        session_id, info = _sessions().add_session(str(source), max(0, expiry), False, str(uuid.uuid4()))
    return {"session_id": session_id, "session_info": _public(info)}


def get_session(session_id: str, user: AsUser, update_ts: bool = False, image: bool = False) -> Any:
    """What is known about a session, or its image."""
    sessions = _sessions()
    info = sessions.live(session_id, update_ts=update_ts)
    if not image:
        return _public(info)
    path = Path(info.image)
    path = only_image(path) if path.is_dir() else path
    return FileResponse(path, media_type=get_mime_type(str(path)), filename=path.name)


def remove_session(session_id: str, user: AsUser) -> dict[str, Any]:
    """Forget an upload."""
    sessions = _sessions()
    info = _public(sessions.live(session_id))
    sessions.remove_session(session_id)
    return info


def add_image(
    user: AsAnnotator, file: OneFile, image: str | None = None, params: JsonText = "{}"
) -> dict[str, str]:
    """Add an image to the studies folder under an id that nobody has."""
    name = plain_name(file)
    info = {**json_object(params), "user": user.username}
    with received(file) as path:
        image_id = image or split_name(name)[0]
        return {"image": app_instance().datastore().add_image(image_id, str(path), info)}


def check_image(image: str, user: AsUser, check_sum: str | None = None) -> dict[str, str]:
    """Whether an image is there, and has this checksum (`SHA256:<hex>`, or SHA512, MD5)."""
    path = Path(app_instance().datastore().get_image_uri(image))
    if check_sum:
        algorithm, _, digest = check_sum.rpartition(":")
        if algorithm not in ("", "SHA256", "SHA512", "MD5"):
            raise RequestError("Expected check_sum as SHA256:<hex>, SHA512:<hex> or MD5:<hex>.")
        algorithm = algorithm or "SHA256"
        if file_checksum(str(path), algorithm) != f"{algorithm}:{digest.lower()}":
            raise NotFoundError("The image has another checksum. Download it again.")
    return {}


def image_info(image: str, user: AsUser) -> dict[str, Any]:
    """What is known about an image; `calibration` is null where the file cannot be read."""
    app = app_instance()
    store = app.datastore()
    info = store.get_image_info(image)
    try:
        return {**info, "calibration": calibration(app.images.open(Path(store.get_image_uri(image))))}
    except ImageError:
        return {**info, "calibration": None}


def download_dataset(
    background_tasks: BackgroundTasks, user: AsAnnotator, limit_cases: int | None = None
) -> FileResponse:
    """A zip of every image with a final label."""
    path = app_instance().datastore().get_dataset_archive(limit_cases)
    background_tasks.add_task(remove_file, path)
    return FileResponse(path, media_type="application/zip", filename="dataset.zip")


def _sessions() -> CheckedSessions:
    sessions: CheckedSessions | None = app_instance().sessions()
    if sessions is None:
        raise HTTPException(406, "Sessions are off. Start the server with MONAI_LABEL_SESSIONS=true.")
    return sessions


def live_session(session_id: str) -> str:
    """The file, or the folder, of a session that is live.

    Raises:
        NotFoundError: no such session, or it has expired.
    """
    return str(_sessions().live(session_id).image)


def _public(info: SessionInfo) -> dict[str, Any]:
    # a client needs no path of the server
    return {**info.to_json(), "path": "", "image": Path(info.image).name}


ROUTES: tuple[tuple[str, str, Endpoint], ...] = (
    ("POST", "/infer/{model}", infer),
    ("PUT", "/session/", create_session),
    ("GET", "/session/{session_id}", get_session),
    ("DELETE", "/session/{session_id}", remove_session),
    ("PUT", "/datastore/image", add_image),
    ("PUT", "/datastore/", add_image),
    ("HEAD", "/datastore/image", check_image),
    ("GET", "/datastore/image/info", image_info),
    ("GET", "/datastore/dataset", download_dataset),
)
