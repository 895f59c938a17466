"""Migrates a studies folder of version 0.2.0: its JSON index becomes journal and versions."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from uniultra.errors import RequestError
from uniultra.files import checksummed
from uniultra.files.checksummed import sha256
from uniultra.store import quarantine, queries
from uniultra.store.catalogue.ids import check_id, is_tag
from uniultra.store.context import Context
from uniultra.store.errors import NotFoundError
from uniultra.store.labels.files import EXTENSIONS
from uniultra.store.labels.saving import Draft, Saving
from uniultra.store.paths import label_path

logger = logging.getLogger(__name__)
_OLD, _KEPT = "index.json", "index-0.2.0.json"


def migrate(context: Context, saving: Saving) -> None:
    """Migrate an `index.json`, then rename it; the caller holds the write lock.

    After a crash in between, the next process migrates the rest: nothing is imported twice.
    """
    old = context.private / _OLD
    if not old.is_file():
        return
    try:
        body = json.loads(old.read_text("utf-8"))
        old_images = {check_id(image): dict(record) for image, record in body["images"].items()}
        events = [_event(image, record) for image, record in old_images.items()]
        events = [event for event in events if checksummed.readable(event)]  # UTF-8 names only
    except (ValueError, KeyError, TypeError, AttributeError, RequestError):
        logger.warning("The index of version 0.2.0 is damaged; ids and labels are restored from the files.")
        old.replace(old.with_name("index.damaged-0.2.0.json"))
        return
    context.describe(name=str(body.get("name", "studies")), description=str(body.get("description", "")))
    context.events.note(events)
    there = {(version.image, version.tag, version.sha256) for version in queries.versions(context)}
    for image, record in old_images.items():
        for tag, label in record.get("labels", {}).items():
            if is_tag(tag) and label.get("ext", "").lower() in EXTENSIONS:
                _import(context, saving, image, tag, label, there)
    old.replace(old.with_name(_KEPT))
    logger.info("The index of version 0.2.0 was migrated: %d images.", len(old_images))


def _event(image: str, record: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "image",
        "image": image,
        "path": str(record["path"]),
        "added": record.get("added") is True,
        "info": dict(record.get("info", {})),
    }


def _import(
    context: Context,
    saving: Saving,
    image: str,
    tag: str,
    label: dict[str, Any],
    there: set[tuple[str, str, str]],
) -> None:
    path: Path = label_path(context.studies, image, tag, label["ext"])
    if not path.is_file() or (image, tag, sha256(path)) in there:
        return
    info = dict(label.get("info", {}))
    moment = info.get("ts")
    annotator = info.get("client_id") or info.get("user") or ""
    try:
        saving.save(
            Draft(
                image,
                path,
                tag,
                annotator if isinstance(annotator, str) else "",
                info=info,
                made=datetime.fromtimestamp(moment, UTC) if isinstance(moment, int) else None,
            )
        )
    except NotFoundError:
        logger.warning("A label of version 0.2.0 has no image; its file was not changed.")
    except RequestError:
        quarantine.add(context.private, [path], "label file cannot be decoded", image)
