"""The next unit to label: leased to the annotator who asks, in the order of a strategy."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Protocol

from uniultra.active.registry import DEFAULT
from uniultra.store.catalogue.ids import check_name, check_tag
from uniultra.store.datastore import StudiesDatastore
from uniultra.store.types import FINAL, Lease, Unit


class Ranker(Protocol):
    """Orders units by a strategy's name, without waiting for a network."""

    def order(self, strategy: str, units: Sequence[Unit]) -> list[Unit]: ...


def annotator_of(request: dict[str, Any]) -> str:
    """The annotator who sends a request: `annotator`, else `client_id`, else an empty name."""
    for key in ("annotator", "client_id"):
        if isinstance(request.get(key), str) and request[key]:
            return str(request[key])
    return ""


def next_sample(
    request: dict[str, Any], datastore: StudiesDatastore, ranking: Ranker | None
) -> dict[str, Any]:
    """Lease a unit to the annotator of a request: `{id, path, frame, lease}`; `{}` when none is left.

    Without a ranking the order is by chance. The strategy `default`, or none, is the campaign's own. With a
    `label_tag` images that have a label of that tag are left out.

    Raises:
        RequestError: a tag that is no plain word, or a name that is no plain text.
    """
    annotator, store = annotator_of(request), datastore.store
    check_name(annotator, "the annotator's name")
    if isinstance(client := request.get("client_id"), str):  # MONAI Label notes it with the image
        check_name(client, "client_id")
    waiting = store.unlabelled(annotator, wait=False)  # new cines are opened in the background
    tag = check_tag(request.get("label_tag") or FINAL)
    if tag != FINAL:
        done = {image for image, of in store.current() if of == tag}
        waiting = [unit for unit in waiting if unit.image not in done]
    if ranking is None:
        random.shuffle(waiting)
    else:
        strategy = str(request.get("strategy") or DEFAULT)
        if strategy == DEFAULT:
            strategy = store.campaign.strategy or DEFAULT
        waiting = ranking.order(strategy, waiting)
    lease = store.claim(waiting, annotator)
    if lease is None:
        return {}
    return {
        "id": lease.unit.image,
        "path": datastore.get_image_uri(lease.unit.image),
        "frame": lease.unit.frame,
        "lease": times(lease),
    }


def times(lease: Lease) -> dict[str, Any]:
    """A lease as a client sees it."""
    return {
        "image": lease.unit.image,
        "frame": lease.unit.frame,
        "annotator": lease.annotator,
        "since": lease.since.isoformat(),
        "until": lease.until.isoformat(),
        "ends": lease.ends.isoformat(),
    }
