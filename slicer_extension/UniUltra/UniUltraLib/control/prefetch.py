"""Prefetching: the server encodes the picture that is likely to be clicked next."""

from __future__ import annotations

import time
from typing import Optional, Set, Tuple

from ..errors import UniUltraLibError
from ..prompts.shown import Shown
from .connection import Link
from .image_reference import ImageReferences
from .scene_protocol import Place, at, place_of
from .state import ONLINE
from .worker import Ticket, Worker

# A picture that is shown for less than this is not prefetched.
REST_S = 0.15
_REMEMBERED = 512


class Prefetcher:
    """Sends prefetch requests on a thread of its own, so that no prompt ever waits for one.

    If the server does not offer prefetching, or a request fails, the click itself encodes the picture.
    """

    def __init__(self, link: Link, images: ImageReferences) -> None:
        self._link, self._images = link, images
        self._worker = Worker("uniultra-prefetch")
        self._requested: Set[Tuple[str, Place]] = set()
        self._next: Optional[Shown] = None
        self._due = 0.0
        self._last: Optional[Shown] = None
        self._step = 1

    def rest(self, shown: Optional[Shown]) -> None:
        """A picture is shown; it is prefetched if it is still shown after `REST_S`."""
        if shown is not None and self._last is not None and shown.key == self._last.key:
            moved = shown.plane.index - self._last.plane.index
            same_axis = shown.plane.axis == self._last.plane.axis
            if moved or not same_axis:  # one step back reverses the direction, a jump resets it
                self._step = -1 if moved == -1 and same_axis else 1
        self._last, self._next, self._due = shown, shown, time.monotonic() + REST_S

    def answered(self, shown: Shown, model: str) -> None:
        """A prompt was answered: prefetch the next frame or slice in the direction of the last step."""
        self._requested.add((model, place_of(shown)))
        following = at(shown, shown.plane.index + self._step)
        if following is not None:
            self._next, self._due = following, time.monotonic()

    def tick(self, model: Optional[str], asking: bool) -> None:
        """Send the request that is due, but none while a prompt awaits its answer."""
        self._worker.deliver()
        shown, client = self._next, self._link.client
        if shown is None or asking or time.monotonic() < self._due:
            return
        offered = self._link.connection == ONLINE and self._link.offers.prefetch
        if not offered or model is None or client is None:
            return
        self._next = None
        reference, name = self._images.known(shown), (model, place_of(shown))
        if reference is None or name in self._requested:
            return
        if len(self._requested) >= _REMEMBERED:
            self._requested.clear()
        self._requested.add(name)

        def job(_ticket: Ticket) -> None:
            client.prefetch(model, shown.plane, **reference.source)

        def failed(_error: UniUltraLibError) -> None:
            self._requested.discard(name)

        self._worker.submit(job, lambda _: None, failed, key="prefetch", quiet=True)

    def forget(self) -> None:
        """Another server, model or image: no picture is known to be encoded."""
        self._requested.clear()
        self._next = None

    def close(self) -> None:
        """End the thread."""
        self.forget()
        self._worker.close()
