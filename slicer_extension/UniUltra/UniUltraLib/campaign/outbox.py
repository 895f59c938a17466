"""Labels on their way to the server: one after the other, again after a failure, each saved there once."""

from __future__ import annotations

import time
from typing import Any, Callable, NamedTuple, Optional

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


class Sending:
    """Sends what the spool holds for one server.

    Args:
        controller: has the calls made by its worker.
        spool: what waits.
        sent: called with what became of a label.
        refused: called with why a label was not sent.
        changed: called when the number of waiting labels may be another.
    """

    def __init__(
        self,
        controller: Any,
        spool: Spool,
        sent: Callable[[Sent], None],
        refused: Callable[[UniUltraLibError], None],
        changed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._controller, self.spool = controller, spool
        self._sent, self._refused, self._changed, self._clock = sent, refused, changed, clock
        self._going: Optional[str] = None
        self._pause, self._next = FIRST_PAUSE_S, 0.0

    def flush(self, address: str) -> None:
        """Send the next label, and then the others."""
        ready = [one for one in self.spool.waiting(address) if not one.refused and one.newer is None]
        if self._going is not None or not ready:
            return
        entry = ready[0]
        try:
            label = self.spool.label(entry)
        except SpoolError as error:
            self.spool.remove(entry.key)
            self._refused(error)
            self._changed()
            return
        self._going = entry.key

        def done(result: Sent) -> None:
            self._going, self._pause = None, FIRST_PAUSE_S
            self._arrived(result)
            self.flush(address)

        def failed(error: UniUltraLibError) -> None:
            self._going = None
            self._failed(entry, error)
            self._changed()
            if any(one.key == entry.key and one.refused for one in self.spool.waiting(address)):
                self.flush(address)

        spool = self.spool
        self._controller.run(lambda client: deliver(client, spool, entry, label), done, failed, quiet=True)

    def tick(self, address: str) -> None:
        """Try again when it is time."""
        if self._clock() >= self._next:
            self.flush(address)

    def forget_call(self) -> None:
        """The connection was closed: nobody will say what became of the label under way; it is sent again."""
        self._going = None

    def hurry(self) -> None:
        """The server answers again: what was only unlucky is tried at once."""
        self._pause, self._next = FIRST_PAUSE_S, 0.0

    def _arrived(self, result: Sent) -> None:
        entry = result.entry
        if result.newer is not None:
            self.spool.change(entry.key, newer=result.newer.revision, image=entry.image)
        elif result.revision is not None:
            self.spool.remove(entry.key)
            for later in self.spool.waiting(entry.address):
                # What was made here after this one knew it, though not its number.
                if later.tag == entry.tag and later.base < result.revision and _same_image(later, entry):
                    self.spool.change(later.key, base=result.revision)
        self._sent(result)
        self._changed()

    def _failed(self, entry: Unsent, error: UniUltraLibError) -> None:
        self._next = self._clock() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        final = isinstance(error, Refused) and error.status not in (401, 403, 408, 429)
        if final:
            self.spool.change(entry.key, refused=str(error))
        self._refused(error)


def deliver(client: Client, spool: Spool, entry: Unsent, label: bytes) -> Sent:
    """Save a label, on top of newer versions where these are of other frames of the cine.

    Raises:
        SceneError: it was made for another server.
        Refused: the server does not want it, or does not have its image.
        ServerError: another of its kinds.
    """
    if entry.address != client.address:
        raise SceneError("A label waits for another server. Connect to the one it was made for.")
    known = spool.resolve(entry, () if entry.image else client.image_ids())
    if known is None or known.image is None:
        cause = "an unsent label belongs to an image that this server does not have."
        raise Refused(client.address, cause, "Connect to the server it was made for.", 404, "")
    base, image = known.base, known.image
    while True:
        params = {**known.params, "base_revision": base, "idempotency_key": known.key}
        try:
            return Sent(known, campaign_calls.save(client, image, known.tag, label, params))
        except Conflict as conflict:
            if conflict.revision <= base or not _beside(client, image, known, base):
                return Sent(known, newer=conflict)
            base = conflict.revision


def _beside(client: Client, image: str, entry: Unsent, base: int) -> bool:
    """Whether all newer versions of a line are of other frames, so that both may stand."""
    frames = entry.params.get("frames")
    newer = [
        one for one in campaign_calls.versions(client, image) if one.tag == entry.tag and one.revision > base
    ]
    return frames is not None and all(
        one.frames is not None and not set(one.frames) & set(frames) for one in newer
    )


def _same_image(one: Unsent, other: Unsent) -> bool:
    return other.image is not None and one.names(other.image)
