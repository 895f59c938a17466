"""The lease on the open unit: renewed while the person works, given back when not."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, NamedTuple, Optional

from ..errors import Refused, UniUltraLibError
from ..wire import campaign_calls
from ..wire.campaign_calls import Unit
from ..wire.client import Client


class Lease(NamedTuple):
    """A unit that the server at `address` gave to `annotator`."""

    unit: Unit
    annotator: str
    address: str

    def of(self, unit: Unit, annotator: str) -> bool:
        """Whether it is this person's on this unit."""
        return (self.unit.image, self.unit.frame, self.annotator) == (unit.image, unit.frame, annotator)

    def on(self, client: Client, call: Callable[[Client, Unit, str], Any]) -> None:
        """Make a call about it, unless `client` is another server's."""
        if client.address == self.address:
            call(client, self.unit, self.annotator)


class LeaseKeeper:
    """Keeps one lease.

    Args:
        controller: has the calls made by its worker.
        changed: called when the lease has ended.
    """

    def __init__(
        self, controller: Any, changed: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._controller, self._changed, self._clock = controller, changed, clock
        self.held: Optional[Lease] = None
        self.ended = False
        self._every, self._renewed = 600.0, 0.0

    def hold(self, lease: Lease, minutes: float) -> None:
        """It was given just now, for so many minutes without work."""
        self.held, self.ended = lease, False
        self._every, self._renewed = 60.0 * minutes / 3, self._clock()

    def tick(self, working: bool) -> None:
        """Renew when it is time, if the person works."""
        lease = self.held
        if lease is None or self.ended or not working or self._clock() - self._renewed < self._every:
            return
        self._renewed = self._clock()

        def failed(error: UniUltraLibError) -> None:
            if isinstance(error, Refused) and error.status == 404 and self.held is lease:
                self.ended = True
                self._changed()

        self._controller.run(
            lambda client: lease.on(client, campaign_calls.renew), lambda _: None, failed, quiet=True
        )

    def let_go(self) -> Optional[Lease]:
        """Forget it; the lease that was held, if it was."""
        lease, self.held = self.held, None
        return None if self.ended else lease

    def give_back(self, lease: Lease) -> None:
        """Let the server give the unit to another annotator."""
        self._controller.run(
            lambda client: lease.on(client, campaign_calls.release),
            lambda _: None,
            lambda _: None,  # it ends by itself
            quiet=True,
        )


def while_closing(client: Client, work: Callable[[Client], None], seconds: float) -> None:
    """Do a last piece of work, and wait no longer than `seconds` for it."""

    def quietly() -> None:
        try:
            work(client)
        except UniUltraLibError:
            return  # a lease ends by itself, and a label is on the disk

    thread = threading.Thread(target=quietly, name="uniultra-closing", daemon=True)
    thread.start()
    thread.join(seconds)
