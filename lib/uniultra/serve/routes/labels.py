"""`/labels`: versions of labels, their masks, reviews and the readers' agreement."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import Query
from fastapi.responses import FileResponse
from monailabel.interfaces.utils.app import app_instance

from uniultra.errors import RequestError
from uniultra.serve.http.uploads import json_object, received
from uniultra.serve.routes.shared import (
    AsAnnotator,
    AsReviewer,
    AsUser,
    JsonBody,
    JsonText,
    OneFile,
    Revision,
    Routes,
    label_store,
)
from uniultra.serve.tasks.next_sample import annotator_of
from uniultra.serve.wire.label_params import LabelParams, rest
from uniultra.serve.wire.packing import pack_mask
from uniultra.store.catalogue.ids import check_tag
from uniultra.store.labels.labelmap import read_labelmap
from uniultra.store.types import MAX_INDEX, LabelVersion

STATES = ("final", "returned", "approved", "flagged")
MAX_LISTED = 500
_FINAL = "final"


def save_label(
    user: AsAnnotator, image: str, label: OneFile, params: JsonText = "{}", tag: str = _FINAL
) -> dict[str, Any]:
    """Keep a new version of an image's label; 409 when it was made from one that is not the newest."""
    app, sent = app_instance(), json_object(params)
    given = LabelParams.of(sent)
    with received(label) as path:
        version = label_store().save(
            image,
            path,
            tag=check_tag(tag or _FINAL),
            annotator=given.who,
            base=given.base_revision,
            frames=given.frames,
            origin=given.origin,
            info={**rest(sent), "user": user.username},
            labels=given.labels,
        )
    # unfinished work trains nothing
    extra: dict[str, Any] = (app.on_save_label(image, image) or {}) if version.tag == _FINAL else {}
    return {**extra, "image": image, "label": image, "revision": version.revision}


def to_review(
    user: AsReviewer,
    state: Annotated[list[str] | None, Query()] = None,
    limit: int = 100,
    offset: int = 0,
) -> dict[str, Any]:
    """Each annotator's newest final label of each image, in these states; how many there are of each."""
    states = state or ["final"]
    if not set(states) <= set(STATES) or not (0 < limit <= MAX_LISTED and 0 <= offset <= MAX_INDEX):
        raise RequestError(
            f"Expected states among {', '.join(STATES)}, a limit of 1 to {MAX_LISTED} and an offset of 0 to "
            f"{MAX_INDEX}; got others."
        )
    store = label_store()
    readings = store.to_review(states, limit=limit, offset=offset)
    keys = {"image", "revision", "annotator", "made", "frames", "labels"}
    return {
        "counts": store.review_counts(),
        "labels": [
            {**reading.version.model_dump(mode="json", include=keys), "state": reading.state}
            for reading in readings
        ],
    }


def list_versions(image: str, user: AsUser) -> dict[str, Any]:
    """The versions of an image's labels, oldest first, with their states and reviews."""
    store = label_store()
    store.images.path(image)  # refuses an unknown image
    versions = store.versions(image)
    states = store.states(image)  # after the versions: one may be saved meanwhile
    reviews: dict[int, list[dict[str, Any]]] = {}
    for review in store.reviews(image):
        reviews.setdefault(review.revision, []).append(
            review.model_dump(mode="json", exclude={"schema_version", "image", "revision"})
        )
    return {
        "image": image,
        "versions": [
            {
                **_public(version),
                "state": states[image, version.revision],
                "reviews": reviews.get(version.revision, []),
            }
            for version in versions
        ],
    }


def download_version(image: str, revision: Revision, user: AsUser) -> FileResponse:
    """The file of one version, after its checksum was compared."""
    store = label_store()
    version = store.version(image, revision)
    return FileResponse(
        store.verified(version), media_type="application/octet-stream", filename=f"{image}{version.ext}"
    )


def masks(image: str, revision: Revision, user: AsUser) -> dict[str, Any]:
    """The masks of a version, one per structure and frame (slice), packed like answers."""
    store = label_store()
    version = store.version(image, revision)
    opened = app_instance().images.open(store.images.path(image))
    names = {index: name for name, index in version.labels.items()}
    packed = []
    for frame, values in enumerate(read_labelmap(store.verified(version), opened, as_stored=True)):
        for value in np.unique(values[values > 0]).tolist():
            name = names.get(value, f"structure {value}")
            packed.append(
                {"label": name, "index": value, "frame": frame, **(pack_mask(values == value) or {})}
            )
    frames, rows, columns = opened.shape
    return {
        "image": image,
        "revision": revision,
        "size": [columns, rows, frames],
        "axis_kind": opened.axis_kind.value,
        "frames": version.frames,
        "masks": packed,
    }


def review(image: str, revision: Revision, user: AsReviewer, params: JsonBody = None) -> dict[str, Any]:
    """Keep a reviewer's verdict: `{"state", "reviewer", "comment"}`; `approved`, `returned` and so on."""
    sent = params or {}
    reviewer = sent.get("reviewer") or annotator_of(sent)
    state, comment = sent.get("state"), sent.get("comment")
    if not (isinstance(reviewer, str) and 0 < len(reviewer) <= 200):
        raise RequestError("Expected the reviewer's name; got none. Add reviewer to the request.")
    if not isinstance(state, str) or not isinstance(comment or "", str) or len(comment or "") > 5000:
        raise RequestError("Expected state and comment as text; got something else.")
    kept = label_store().review(image, revision, state, reviewer, comment or "")
    return kept.model_dump(mode="json", exclude={"schema_version"})


def agreement(image: str, user: AsUser) -> dict[str, Any]:
    """Dice and HD95 between each two readers of an image."""
    store = label_store()
    store.images.path(image)  # refuses an unknown image
    return {"image": image, "pairs": [pair.model_dump(mode="json") for pair in store.agreement(image)]}


def _public(version: LabelVersion) -> dict[str, Any]:
    # a client needs no path of the server
    return version.model_dump(mode="json", exclude={"schema_version", "image", "source"})


ROUTES: Routes = (
    ("PUT", "/datastore/label", save_label),
    ("GET", "/labels", to_review),
    ("GET", "/labels/{image}", list_versions),
    ("GET", "/labels/{image}/agreement", agreement),
    ("GET", "/labels/{image}/{revision}", download_version),
    ("GET", "/labels/{image}/{revision}/masks", masks),
    ("POST", "/labels/{image}/{revision}/review", review),
)
