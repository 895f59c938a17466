"""What a panel asks for: labels to review, a label's masks packed, an image's place, a training's curve."""

from __future__ import annotations

from typing import Annotated, Any
from weakref import WeakKeyDictionary

import numpy as np
from fastapi import Query
from monailabel.interfaces.utils.app import app_instance

from uniultra.errors import RequestError
from uniultra.serve.dashboard import learning
from uniultra.serve.http.thread_pools import Endpoint
from uniultra.serve.routes.label_routes import AsReviewer, Revision
from uniultra.serve.routes.routes import AsUser
from uniultra.serve.wire.packing import pack_mask
from uniultra.store.labels.labelmap import read_labelmap
from uniultra.store.review import reviewing
from uniultra.store.store import LabelStore
from uniultra.store.types import MAX_INDEX

STATES = ("final", "returned", "approved", "flagged")
MAX_LISTED = 500
_known: WeakKeyDictionary[Any, learning.Jobs] = WeakKeyDictionary()


def to_review(
    user: AsReviewer,
    state: Annotated[list[str] | None, Query()] = None,
    limit: int = 100,
    offset: int = 0,
) -> dict[str, Any]:
    """Each annotator's newest final label of each image, in these states; how many there are of each."""
    wanted = state or ["final"]
    if not set(wanted) <= set(STATES) or not (0 < limit <= MAX_LISTED and 0 <= offset <= MAX_INDEX):
        raise RequestError(
            f"Expected states among {', '.join(STATES)}, a limit of 1 to {MAX_LISTED} and an offset of 0 to "
            f"{MAX_INDEX}; got others."
        )
    store = _store()
    found = reviewing.listed(store, wanted, limit=limit, offset=offset)
    keys = {"image", "revision", "annotator", "made", "frames", "labels"}
    return {
        "counts": reviewing.counts(store),
        "labels": [
            {**one.version.model_dump(mode="json", include=keys), "state": one.state} for one in found
        ],
    }


def geometry(image: str, user: AsUser) -> dict[str, Any]:
    """How the stored file lies in space (ITK's header, LPS), so that a label map can be given the same."""
    store = _store()
    opened = app_instance().images.open(store.images.path(image))
    known = opened.geometry
    return {
        "image": image,
        "axis_kind": opened.axis_kind.value,
        "size": known.size,
        "spacing": known.spacing,
        "origin": known.origin,
        "direction": known.direction,
        "spacing_mm": opened.spacing_mm,
    }


def masks(image: str, revision: Revision, user: AsUser) -> dict[str, Any]:
    """The masks of a version, one for each structure and frame (slice) that has it, packed like answers."""
    store = _store()
    version = store.version(image, revision)
    opened = app_instance().images.open(store.images.path(image))
    values = read_labelmap(store.verified(version), opened, as_stored=True)
    names = {index: name for name, index in version.labels.items()}
    found = []
    for frame, picture in enumerate(values):
        for value in np.unique(picture[picture > 0]).tolist():
            name = names.get(value, f"structure {value}")
            packed = pack_mask(picture == value) or {}
            found.append({"label": name, "index": value, "frame": frame, **packed})
    frames, rows, columns = opened.shape
    return {
        "image": image,
        "revision": revision,
        "size": [columns, rows, frames],
        "axis_kind": opened.axis_kind.value,
        "frames": version.frames,
        "masks": found,
    }


def curve(user: AsUser) -> dict[str, Any]:
    """The newest training: state, loss and Dice by epoch; and what its model answers with now."""
    app = app_instance()
    jobs = _known.get(app)
    if jobs is None:
        jobs = _known[app] = learning.Jobs(app.trainings.studies)
    told = learning.training(jobs.read(), None).model_dump(mode="json", exclude={"missing"})
    task = app._infers.get(told["model"])
    return {**told, "adapter": task.adapter()["adapter"] if task is not None and task.is_valid() else None}


def _store() -> LabelStore:
    store: LabelStore = app_instance().datastore().store
    store.ready()
    return store


PANEL_ROUTES: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "/labels", to_review),
    ("GET", "/labels/{image}/{revision}/masks", masks),
    ("GET", "/datastore/image/geometry", geometry),
    ("GET", "/train/curve", curve),
)
