"""The outbox: sends labels to the server, each saved there exactly once, in the order they were submitted.

A label is written to disk (`Spool`) before it is sent, and removed once the server has it, so neither a lost
connection nor the end of Slicer loses work. It is in one of four states:

    waiting   to be sent as soon as the server answers; after a failure again, with growing pauses
    sending   one at a time and oldest first, because a label is based on the revision of the one before it
    refused   the server rejected it and says why: kept until the person discards or replaces it
    conflict  a newer version exists that its annotator has not seen: kept until they decide (`Conflicts`)

The answer can be lost after the server has saved the label. So every label has a key (`idempotency_key`): if
it is sent again, the server answers with the revision it already has and saves no second version. Labels of
different frames of one cine do not conflict: such a label is sent again, based on the newer version.
"""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ..errors import Conflict, Refused, SceneError, UniUltraLibError
from ..wire import campaign_calls
from ..wire.client import Client
from .spool import Spool, SpoolError, Unsent

FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 120.0


class Sent(NamedTuple):
    """The server's answer to a label: its revision, or the newer version that it conflicts with."""

    entry: Unsent
    revision: Optional[int] = None
    newer: Optional[Conflict] = None


class Outbox:
    """Sends what the spool holds for one server.

    Args:
        controller: its worker makes the calls.
        spool: the labels.
        settled: called with the server's answer to a label.
        failed: called with the error if a label could not be sent.
        changed: called when the labels in the spool may have changed.
    """

    def __init__(
        self,
        controller: Any,
        spool: Spool,
        settled: Callable[[Sent], None],
        failed: Callable[[UniUltraLibError], None],
        changed: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._controller, self.spool = controller, spool
        self._settled, self._failed, self._changed, self._clock = settled, failed, changed, clock
        self._sending: Optional[str] = None
        self._pause, self._next = FIRST_PAUSE_S, 0.0

    def add(
        self, address: str, image: str, tag: str, base: int, label: bytes, params: Dict[str, Any]
    ) -> Unsent:
        """Store a label; it replaces one of the same image and tag that was refused or is in conflict.

        Raises:
            SpoolError: the label cannot be written.
        """
        for old in self.spool.waiting(address):
            if old.names(image) and old.tag == tag and not old.ready:
                self.spool.remove(old.key)
        return self.spool.add(address, image, tag, base, label, params)

    def ready(self, address: str) -> List[Unsent]:
        """The labels that can be sent to a server without a decision, oldest first."""
        return [entry for entry in self.spool.waiting(address) if entry.ready]

    def flush(self, address: str) -> None:
        """Send the oldest label that is ready, and then the others, unless one is being sent already."""
        entry = next(iter(self.ready(address)), None)
        if self._sending is not None or entry is None:
            return
        try:
            label = self.spool.label(entry)
        except SpoolError as error:
            self.spool.remove(entry.key)
            self._failed(error)
            self._changed()
            return
        self._sending = entry.key

        def done(sent: Sent) -> None:
            self._sending, self._pause = None, FIRST_PAUSE_S
            self._record(sent)
            self.flush(address)

        def failed(error: UniUltraLibError) -> None:
            self._sending = None
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
        """Send what is ready, on the calling thread. Errors are ignored: the next session sends the rest."""
        for entry in self.ready(address):
            with contextlib.suppress(UniUltraLibError):
                if _deliver(client, entry, self.spool.label(entry)).revision is not None:
                    self.spool.remove(entry.key)

    def tick(self, address: str) -> None:
        """Try again when it is time."""
        if self._clock() >= self._next:
            self.flush(address)

    def forget_call(self) -> None:
        """The connection was closed: the label being sent gets no answer and will be sent again."""
        self._sending = None

    def hurry(self) -> None:
        """The server answers again: do not wait for the pause."""
        self._pause, self._next = FIRST_PAUSE_S, 0.0

    def _record(self, sent: Sent) -> None:
        entry = sent.entry
        if sent.newer is not None:
            self.spool.change(entry.key, newer=sent.newer.revision, image=entry.image)
        elif sent.revision is not None:
            self.spool.remove(entry.key)
            for later in self.spool.waiting(entry.address):
                # A later label was based on this one before its revision was known.
                if later.tag == entry.tag and later.base < sent.revision and later.names(entry.image or ""):
                    self.spool.change(later.key, base=sent.revision)
        self._settled(sent)
        self._changed()


def _deliver(client: Client, entry: Unsent, label: bytes) -> Sent:
    """Save a label; where newer versions are of other frames of the cine, based on the newest of them.

    Raises:
        SceneError: the label was made for another server.
        Refused: the server rejects it, or does not have its image.
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
    """Whether all versions of the tag after `base` are of other frames of the cine, which is no conflict."""
    frames = entry.params.get("frames")
    line = [version for version in campaign_calls.versions(client, image) if version.tag == entry.tag]
    return frames is not None and all(
        version.frames is not None and not set(version.frames) & set(frames)
        for version in line
        if version.revision > base
    )
