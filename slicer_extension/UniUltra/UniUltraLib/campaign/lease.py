"""The lease on the open unit: renewed while the annotator works, ended when they stop."""

from __future__ import annotations

import threading
from typing import Any, Callable, NamedTuple, Optional

from ..errors import Refused, UniUltraLibError
from ..wire import campaign_calls
from ..wire.campaign_calls import Unit
from ..wire.client import Client


class Lease(NamedTuple):
    """A unit that the server at `address` leased to `annotator`."""

    unit: Unit
    annotator: str
    address: str

    def of(self, unit: Unit, annotator: str) -> bool:
        """Whether it is this annotator's lease on this unit."""
        return (self.unit.image, self.unit.frame, self.annotator) == (unit.image, unit.frame, annotator)

    def on(self, client: Client, call: Callable[[Client, Unit, str], Any]) -> None:
        """Make a call about the lease, unless `client` is another server's."""
        if client.address == self.address:
            call(client, self.unit, self.annotator)


class LeaseKeeper:
    """Keeps one lease.

    Args:
        controller: its worker makes the calls.
        lost: called when the server says that the lease has ended.

    Attributes:
        held: the lease; None without one.
        ended: it has ended, so the server may lease the unit to another annotator.
    """

    def __init__(self, controller: Any, lost: Callable[[], None], clock: Callable[[], float]) -> None:
        self._controller, self._lost, self._clock = controller, lost, clock
        self.held: Optional[Lease] = None
        self.ended = False
        self._every, self._renewed = 600.0, 0.0

    def hold(self, lease: Lease, minutes: float) -> None:
        """Keep a lease that was granted just now; it lasts `minutes` without a renewal."""
        self.held, self.ended = lease, False
        self._every, self._renewed = 60.0 * minutes / 3, self._clock()

    def tick(self, working: bool) -> None:
        """Renew the lease when a third of its time has passed, if the annotator is working."""
        lease = self.held
        if lease is None or self.ended or not working or self._clock() - self._renewed < self._every:
            return
        self._renewed = self._clock()

        def failed(error: UniUltraLibError) -> None:
            if isinstance(error, Refused) and error.status == 404 and self.held is lease:
                self.ended = True
                self._lost()

        self._controller.run(
            lambda client: lease.on(client, campaign_calls.renew), lambda _: None, failed, quiet=True
        )

    def let_go(self) -> Optional[Lease]:
        """Stop renewing; returns the lease if it was held and had not ended."""
        lease, self.held = self.held, None
        return None if self.ended else lease

    def give_back(self, lease: Lease) -> None:
        """End a lease, so that the unit goes to another annotator."""
        self._controller.run(
            lambda client: lease.on(client, campaign_calls.release),
            lambda _: None,
            lambda _: None,  # then it ends by itself after its minutes
            quiet=True,
        )


def while_closing(client: Client, work: Callable[[Client], None], seconds: float) -> None:
    """Run `work(client)` in a thread, and wait for it no longer than `seconds`."""

    def quietly() -> None:
        try:
            work(client)
        except UniUltraLibError:
            return  # a lease ends by itself, and a label is stored on this machine

    thread = threading.Thread(target=quietly, name="uniultra-closing", daemon=True)
    thread.start()
    thread.join(seconds)
