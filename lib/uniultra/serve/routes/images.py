"""`/datastore/`: the images of the studies folder and what is known about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi.background import BackgroundTasks
from fastapi.responses import FileResponse
from monailabel.interfaces.utils.app import app_instance
from monailabel.utils.others.generic import file_checksum, remove_file

from uniultra.errors import ImageError, RequestError
from uniultra.serve.http.uploads import json_object, plain_name, received
from uniultra.serve.routes.shared import AsAnnotator, AsUser, JsonText, OneFile, Routes, label_store
from uniultra.serve.wire.calibration import calibration
from uniultra.store.catalogue.ids import split_name
from uniultra.store.errors import NotFoundError


def add_image(
    user: AsAnnotator, file: OneFile, image: str | None = None, params: JsonText = "{}"
) -> dict[str, str]:
    """Add an image to the studies folder under an unused id."""
    name = plain_name(file)
    info = {**json_object(params), "user": user.username}
    with received(file) as path:
        image_id = image or split_name(name)[0]
        return {"image": app_instance().datastore().add_image(image_id, str(path), info)}


def check_image(image: str, user: AsUser, check_sum: str | None = None) -> dict[str, str]:
    """Whether an image exists, and has this checksum (`SHA256:<hex>`, or SHA512, MD5)."""
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


def geometry(image: str, user: AsUser) -> dict[str, Any]:
    """Where the stored file lies in space (ITK's header, LPS), so that a label map can be given the same."""
    opened = app_instance().images.open(label_store().images.path(image))
    header = opened.geometry
    return {
        "image": image,
        "axis_kind": opened.axis_kind.value,
        "size": header.size,
        "spacing": header.spacing,
        "origin": header.origin,
        "direction": header.direction,
        "spacing_mm": opened.spacing_mm,
    }


def download_dataset(
    background_tasks: BackgroundTasks, user: AsAnnotator, limit_cases: int | None = None
) -> FileResponse:
    """A zip of every image with a final label."""
    path = app_instance().datastore().get_dataset_archive(limit_cases)
    background_tasks.add_task(remove_file, path)
    return FileResponse(path, media_type="application/zip", filename="dataset.zip")


ROUTES: Routes = (
    ("PUT", "/datastore/image", add_image),
    ("PUT", "/datastore/", add_image),
    ("HEAD", "/datastore/image", check_image),
    ("GET", "/datastore/image/info", image_info),
    ("GET", "/datastore/image/geometry", geometry),
    ("GET", "/datastore/dataset", download_dataset),
)
