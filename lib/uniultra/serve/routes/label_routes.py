"""Versions of labels, reviews, agreement and leases over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, Depends
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from monailabel.config import settings
from monailabel.endpoints.user.auth import RBAC, User
from monailabel.interfaces.utils.app import app_instance

from uniultra.errors import RequestError
from uniultra.serve.http.thread_pools import Endpoint
from uniultra.serve.http.uploads import json_object, received
from uniultra.serve.routes.routes import AsAnnotator, AsUser, JsonText, OneFile
from uniultra.serve.tasks.next_sample import annotator_of, times
from uniultra.serve.wire.label_params import LabelParams, rest
from uniultra.store.catalogue.ids import check_tag
from uniultra.store.store import LabelStore
from uniultra.store.types import MAX_INDEX, LabelVersion, Unit

AsReviewer = Annotated[User, Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_REVIEWER))]
Parameters = Annotated[dict[str, Any] | None, Body()]
Revision = Annotated[int, InPath(ge=0, le=MAX_INDEX)]
_FINAL = "final"


def save_label(
    user: AsAnnotator, image: str, label: OneFile, params: JsonText = "{}", tag: str = _FINAL
) -> dict[str, Any]:
    """Keep a label of an image as a new version; 409 when it was made from one that is not the newest."""
    app, sent = app_instance(), json_object(params)
    known = LabelParams.of(sent)
    with received(label) as path:
        version = _store().save(
            image,
            path,
            tag=check_tag(tag or _FINAL),
            annotator=known.who,
            base=known.base_revision,
            frames=known.frames,
            origin=known.origin,
            info={**rest(sent), "user": user.username},
            labels=known.labels,
        )
    # unfinished work trains nothing
    extra: dict[str, Any] = (app.on_save_label(image, image) or {}) if version.tag == _FINAL else {}
    return {**extra, "image": image, "label": image, "revision": version.revision}


def list_versions(image: str, user: AsUser) -> dict[str, Any]:
    """The versions of an image's labels, oldest first, with their states and reviews."""
    store = _store()
    _check_image(store, image)
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
    store = _store()
    version = store.version(image, revision)
    return FileResponse(
        store.verified(version), media_type="application/octet-stream", filename=f"{image}{version.ext}"
    )


def review(image: str, revision: Revision, user: AsReviewer, params: Parameters = None) -> dict[str, Any]:
    """Keep what a reviewer says: `{"state", "reviewer", "comment"}`; `approved`, `returned` and so on."""
    sent = params or {}
    reviewer, state, comment = (
        sent.get("reviewer") or annotator_of(sent),
        sent.get("state"),
        sent.get("comment"),
    )
    if not (isinstance(reviewer, str) and 0 < len(reviewer) <= 200):
        raise RequestError("Expected the reviewer's name; got none. Add reviewer to the request.")
    if not isinstance(state, str) or not isinstance(comment or "", str) or len(comment or "") > 5000:
        raise RequestError("Expected state and comment as text; got something else.")
    kept = _store().review(image, revision, state, reviewer, comment or "")
    return kept.model_dump(mode="json", exclude={"schema_version"})


def agreement(image: str, user: AsUser) -> dict[str, Any]:
    """Dice and HD95 between each two readers of an image."""
    store = _store()
    _check_image(store, image)
    return {"image": image, "pairs": [pair.model_dump(mode="json") for pair in store.agreement(image)]}


def renew(user: AsUser, params: Parameters = None) -> dict[str, Any]:
    """Renew a lease: `{"image", "frame", "annotator"}`; 404 when it has ended."""
    unit, who = _unit(params)
    return times(_store().renew(unit, who))


def release(user: AsUser, params: Parameters = None) -> dict[str, Any]:
    """Give a unit back: `{"image", "frame", "annotator"}`."""
    unit, who = _unit(params)
    _store().release(unit, who)
    return {}


def skip(user: AsUser, params: Parameters = None) -> dict[str, Any]:
    """Give a unit back for good: `{"image", "frame", "annotator", "reason"}`."""
    unit, who = _unit(params)
    _store().skip(unit, who, (params or {}).get("reason") or "")
    return {}


def _store() -> LabelStore:
    store: LabelStore = app_instance().datastore().store
    store.ready()
    return store


def _check_image(store: LabelStore, image: str) -> None:
    store.images.path(image)


def _unit(params: dict[str, Any] | None) -> tuple[Unit, str]:
    sent = params or {}
    image, frame = sent.get("image"), sent.get("frame", 0)
    number = isinstance(frame, int) and not isinstance(frame, bool) and 0 <= frame <= MAX_INDEX
    if not isinstance(image, str) or not number:
        raise RequestError(
            'Expected {"image": id, "frame": number, "annotator": name}, the frame from 0 to '
            f"{MAX_INDEX}; got something else. Send them as the next sample gave them."
        )
    return Unit(image, frame), annotator_of(sent)


def _public(version: LabelVersion) -> dict[str, Any]:
    # a client needs no path of the server
    return version.model_dump(mode="json", exclude={"schema_version", "image", "source"})


LABEL_ROUTES: tuple[tuple[str, str, Endpoint], ...] = (
    ("PUT", "/datastore/label", save_label),
    ("GET", "/labels/{image}", list_versions),
    ("GET", "/labels/{image}/agreement", agreement),
    ("GET", "/labels/{image}/{revision}", download_version),
    ("POST", "/labels/{image}/{revision}/review", review),
    ("POST", "/leases/renew", renew),
    ("POST", "/leases/release", release),
    ("POST", "/leases/skip", skip),
)
