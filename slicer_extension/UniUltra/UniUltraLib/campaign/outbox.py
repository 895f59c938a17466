"""The outbox: labels on their way to the server, each saved there exactly once, in the order they were made.

A label is written to disk (`Spool`) before it is sent, and removed once the server has it, so neither a lost
connection nor the end of Slicer loses work. It is in one of four states:

    waiting   sent as soon as the server answers; after a failure again, with growing pauses
    under way one at a time and oldest first, for a later label is based on the revision of the one before it
    refused   the server does not want it, and says why: kept until the person discards or replaces it
    conflict  a newer version stands that its maker has not seen: kept until the person decides (`Conflicts`)

An answer can be lost on its way back, when the server has saved the label already. So every label has its own
key (`idempotency_key`): sent again, it gets the revision that it became, and no second version is made.
Labels of different frames of one cine are no conflict: such a label is sent again on top of the newer one.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ..errors import Conflict, Refused, SceneError, UniUltraLibError
from ..wire import campaign_calls
from ..wire.client import Client
from .spool import Spool, SpoolError, Unsent

FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 120.0


class Sent(NamedTuple):
    """What became of a label: the revision it is now, or the newer one that stands in its way."""

    entry: Unsent
    revision: Optional[int] = None
    newer: Optional[Conflict] = None


class Outbox:
    """Sends what the spool holds for one server.

    Args:
        controller: its worker makes the calls.
        spool: the labels.
        settled: called with what became of a label.
        failed: called with why a label was not sent.
        changed: called when the number of waiting labels may have changed.
    """

    def __init__(
        self,
        controller: Any,
        spool: Spool,
        settled: Callable[[Sent], None],
        failed: Callable[[UniUltraLibError], None],
        changed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._controller, self.spool = controller, spool
        self._settled, self._failed, self._changed, self._clock = settled, failed, changed, clock
        self._under_way: Optional[str] = None
        self._pause, self._next = FIRST_PAUSE_S, 0.0

    def add(
        self, address: str, image: str, tag: str, base: int, label: bytes, params: Dict[str, Any]
    ) -> Unsent:
        """Keep a label; it takes the place of one of the same image and tag that waits for a decision.

        Raises:
            SpoolError: it cannot be written.
        """
        for old in self.spool.waiting(address):
            if old.names(image) and old.tag == tag and not old.ready:
                self.spool.remove(old.key)
        return self.spool.add(address, image, tag, base, label, params)

    def ready(self, address: str) -> List[Unsent]:
        """The labels that can be sent to a server, oldest first."""
        return [entry for entry in self.spool.waiting(address) if entry.ready]

    def flush(self, address: str) -> None:
        """Send the next label, and then the others."""
        entry = next(iter(self.ready(address)), None)
        if self._under_way is not None or entry is None:
            return
        try:
            label = self.spool.label(entry)
        except SpoolError as error:
            self.spool.remove(entry.key)
            self._failed(error)
            self._changed()
            return
        self._under_way = entry.key

        def done(sent: Sent) -> None:
            self._under_way, self._pause = None, FIRST_PAUSE_S
            self._record(sent)
            self.flush(address)

        def failed(error: UniUltraLibError) -> None:
            self._under_way = None
            self._next = self._clock() + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
            refused = isinstance(error, Refused) and error.status not in (401, 403, 408, 429)
            if refused:
                self.spool.change(entry.key, refused=str(error))
            self._failed(error)
            self._changed()
            if refused:
                self.flush(address)

        self._controller.run(lambda client: _deliver(client, entry, label), done, failed, quiet=True)

    def flush_on_closing(self, client: Client, address: str) -> None:
        """Send what can be sent, in this thread and without a word: the rest is sent in the next session."""
        for entry in self.ready(address):
            with contextlib.suppress(UniUltraLibError):
                if _deliver(client, entry, self.spool.label(entry)).revision is not None:
                    self.spool.remove(entry.key)

    def tick(self, address: str) -> None:
        """Try again when it is time."""
        if self._clock() >= self._next:
            self.flush(address)

    def forget_call(self) -> None:
        """The connection was closed, so no answer comes for the label under way: it is sent again."""
        self._under_way = None

    def hurry(self) -> None:
        """The server answers again: try at once."""
        self._pause, self._next = FIRST_PAUSE_S, 0.0

    def _record(self, sent: Sent) -> None:
        entry = sent.entry
        if sent.newer is not None:
            self.spool.change(entry.key, newer=sent.newer.revision, image=entry.image)
        elif sent.revision is not None:
            self.spool.remove(entry.key)
            for later in self.spool.waiting(entry.address):
                # It was made on top of this one, whose revision was not known then.
                if later.tag == entry.tag and later.base < sent.revision and later.names(entry.image or ""):
                    self.spool.change(later.key, base=sent.revision)
        self._settled(sent)
        self._changed()


def _deliver(client: Client, entry: Unsent, label: bytes) -> Sent:
    """Save a label, on top of newer versions where these are of other frames of the cine.

    Raises:
        SceneError: it was made for another server.
        Refused: the server does not want it, or does not have its image.
        ServerError: another of its kinds.
    """
    if entry.address != client.address:
        raise SceneError("A label waits for another server. Connect to the one it was made for.")
    resolved = entry.resolved(() if entry.image else client.image_ids())
    if resolved is None or resolved.image is None:
        cause = "an unsent label belongs to an image that this server does not have."
        raise Refused(client.address, cause, "Connect to the server it was made for.", 404, "")
    base, image = resolved.base, resolved.image
    while True:
        params = {**resolved.params, "base_revision": base, "idempotency_key": resolved.key}
        try:
            return Sent(resolved, campaign_calls.save(client, image, resolved.tag, label, params))
        except Conflict as conflict:
            if conflict.revision <= base or not _of_other_frames(client, image, resolved, base):
                return Sent(resolved, newer=conflict)
            base = conflict.revision


def _of_other_frames(client: Client, image: str, entry: Unsent, base: int) -> bool:
    """Whether all versions of the line after `base` are of other frames, so that both may stand."""
    frames = entry.params.get("frames")
    line = [version for version in campaign_calls.versions(client, image) if version.tag == entry.tag]
    return frames is not None and all(
        version.frames is not None and not set(version.frames) & set(frames)
        for version in line
        if version.revision > base
    )
