"""`/leases/`: renew the lease on a unit of work, release it, or skip the unit."""

from __future__ import annotations

from typing import Any

from uniultra.errors import RequestError
from uniultra.serve.routes.shared import AsUser, JsonBody, Routes, label_store
from uniultra.serve.tasks.next_sample import annotator_of, times
from uniultra.store.types import MAX_INDEX, Unit


def renew(user: AsUser, params: JsonBody = None) -> dict[str, Any]:
    """Renew a lease: `{"image", "frame", "annotator"}`; 404 when it has ended."""
    return times(label_store().renew(*_unit(params)))


def release(user: AsUser, params: JsonBody = None) -> dict[str, Any]:
    """Give a unit back: `{"image", "frame", "annotator"}`."""
    label_store().release(*_unit(params))
    return {}


def skip(user: AsUser, params: JsonBody = None) -> dict[str, Any]:
    """Give a unit back for good: `{"image", "frame", "annotator", "reason"}`."""
    label_store().skip(*_unit(params), (params or {}).get("reason") or "")
    return {}


def _unit(params: dict[str, Any] | None) -> tuple[Unit, str]:
    """The unit that a request names, and the annotator."""
    sent = params or {}
    image, frame = sent.get("image"), sent.get("frame", 0)
    is_index = isinstance(frame, int) and not isinstance(frame, bool) and 0 <= frame <= MAX_INDEX
    if not isinstance(image, str) or not is_index:
        raise RequestError(
            'Expected {"image": id, "frame": number, "annotator": name}, the frame from 0 to '
            f"{MAX_INDEX}; got something else. Send them as the next sample gave them."
        )
    return Unit(image, frame), annotator_of(sent)


ROUTES: Routes = (
    ("POST", "/leases/renew", renew),
    ("POST", "/leases/release", release),
    ("POST", "/leases/skip", skip),
)
