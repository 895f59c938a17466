"""The picture that will be asked about next, encoded by the server before the click."""

from __future__ import annotations

import time
from typing import Any, Optional, Set, Tuple

from ..errors import UniUltraLibError
from ..prompts.shown import Shown
from .connection import Link
from .image_reference import ImageReferences
from .scene_protocol import Place, at, place_of
from .state import ONLINE
from .worker import Ticket, Worker

# A view that scrolls on sooner than this is not worth an encoding.
REST_S = 0.15
_REMEMBERED = 512


class Prefetcher:
    """Sends wishes to the server, on a thread of its own so that no prompt ever waits for one.

    Where the server does not offer it, or anything goes wrong, nothing happens: a click encodes as ever.
    """

    def __init__(self, link: Link, images: ImageReferences) -> None:
        self._link, self._images = link, images
        self._worker = Worker("uniultra-prefetch")
        self._wished: Set[Tuple[str, Place]] = set()
        self._next: Optional[Shown] = None
        self._due = 0.0
        self._last: Optional[Shown] = None
        self._step = 1

    def rest(self, shown: Optional[Shown]) -> None:
        """Something is shown; it is encoded if it still is a little later."""
        if shown is not None and self._last is not None and shown.key == self._last.key:
            moved = shown.plane.index - self._last.plane.index
            same_axis = shown.plane.axis == self._last.plane.axis
            if moved or not same_axis:  # one step back means the direction is back; a jump is no direction
                self._step = -1 if moved == -1 and same_axis else 1
        self._last, self._next, self._due = shown, shown, time.monotonic() + REST_S

    def answered(self, shown: Shown, model: str) -> None:
        """A mask was given: next comes a frame or slice on, in the direction of the last step."""
        self._wished.add((model, place_of(shown)))
        following = at(shown, shown.plane.index + self._step)
        if following is not None:
            self._next, self._due = following, time.monotonic()

    def tick(self, model: Optional[str], asking: bool) -> None:
        """Send what is due, but nothing while a prompt awaits its answer."""
        self._worker.deliver()
        shown, client = self._next, self._link.client
        if shown is None or asking or time.monotonic() < self._due:
            return
        offered = self._link.connection == ONLINE and self._link.offers.prefetch
        if not offered or model is None or client is None:
            return
        self._next = None
        reference, name = self._images.known(shown), (model, place_of(shown))
        if reference is None or name in self._wished:
            return
        if len(self._wished) >= _REMEMBERED:
            self._wished.clear()
        self._wished.add(name)

        def job(_ticket: Ticket) -> None:
            client.prefetch(model, shown.plane, **reference.ready(client))

        def failed(_error: UniUltraLibError) -> None:
            self._wished.discard(name)

        self._worker.submit(job, _nothing, failed, key="prefetch", quiet=True)

    def forget(self) -> None:
        """Another server or model, or no image: nothing is known to be encoded."""
        self._wished.clear()
        self._next = None

    def close(self) -> None:
        """End the thread."""
        self.forget()
        self._worker.close()


def _nothing(_value: Any) -> None:
    pass
