"""`/session/`: a client's own volume, uploaded once for many prompts and kept outside the campaign."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Annotated, Any

from fastapi import File, UploadFile
from fastapi.responses import FileResponse
from monailabel.utils.others.generic import get_mime_type
from monailabel.utils.sessions import SessionInfo

from uniultra.errors import RequestError
from uniultra.images import read_image
from uniultra.serve.http.uploads import plain_name, received
from uniultra.serve.routes.shared import AsUser, Routes, client_sessions
from uniultra.serve.tasks.image_cache import image_file
from uniultra.store.catalogue.ids import split_name


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
        read_image(image_file(folder))  # an unreadable upload is refused now, not at the first click
        source = folder if len(files) > 1 else next(folder.iterdir())
        sessions = client_sessions()
        session_id, info = sessions.add_session(str(source), max(0, expiry), False, str(uuid.uuid4()))
    return {"session_id": session_id, "session_info": _public(info)}


def get_session(session_id: str, user: AsUser, update_ts: bool = False, image: bool = False) -> Any:
    """What is known about a session, or its image."""
    info = client_sessions().live(session_id, update_ts=update_ts)
    if not image:
        return _public(info)
    path = image_file(Path(info.image))
    return FileResponse(path, media_type=get_mime_type(str(path)), filename=path.name)


def remove_session(session_id: str, user: AsUser) -> dict[str, Any]:
    """Delete an upload."""
    sessions = client_sessions()
    info = _public(sessions.live(session_id))
    sessions.remove_session(session_id)
    return info


def _public(info: SessionInfo) -> dict[str, Any]:
    # a client needs no path of the server
    return {**info.to_json(), "path": "", "image": Path(info.image).name}


ROUTES: Routes = (
    ("PUT", "/session/", create_session),
    ("GET", "/session/{session_id}", get_session),
    ("DELETE", "/session/{session_id}", remove_session),
)
