"""The connection to a server: made, tested, lost, and made again with growing pauses."""

from __future__ import annotations

import time
from typing import Any, Callable, Optional, Protocol

from .client import Client
from .errors import Refused, ServerError, UniUltraLibError
from .offers import Offers, read_offers
from .state import CONNECTING, LOST, OFFLINE, ONLINE, Problem
from .worker import Worker

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


class MakeClient(Protocol):
    """Makes the client of an address; cheap, and nothing is sent yet."""

    def __call__(self, address: str, key: str) -> Client: ...


def make_client(address: str, key: str) -> Client:
    """The client as the panel uses it; a key of no characters is none."""
    return Client(address, api_key=key or None)


class Link:
    """One server.

    Args:
        make: makes clients.
        tasks: the worker that asks for `/info/`.
        online: called when the server answers, first and again.
        told: called with a problem, or with None when it is over.
    """

    def __init__(
        self,
        make: MakeClient,
        tasks: Worker,
        online: Callable[[], None],
        told: Callable[[Optional[Problem]], None],
    ) -> None:
        self._make, self._tasks, self._online, self._told = make, tasks, online, told
        self.connection = OFFLINE
        self.client: Optional[Client] = None
        self.offers = Offers()
        self._pause = FIRST_PAUSE_S
        self._next: Optional[float] = None

    @property
    def address(self) -> str:
        """Of the server, without a name or password; empty before the first time."""
        return self.client.address if self.client else ""

    def connect(self, address: str, key: str) -> None:
        """Ask the server at `address` what it offers; what it offers counts once it has answered."""
        self.disconnect()
        try:
            self.client = self._make(address, key)
        except ValueError as error:
            self._told(Problem(address.rpartition("@")[2], str(error), ""))
            return
        self.connection = CONNECTING
        self._ask_info("Connecting")

    def disconnect(self) -> None:
        """Let go of the server."""
        if self.client is not None:
            self.client.close()
        self._tasks.cancel(lambda ticket: ticket.key == "info")
        self.connection, self.client, self.offers, self._next = OFFLINE, None, Offers(), None

    def test(self, address: str, key: str, done: Callable[[Optional[Problem]], None]) -> None:
        """Ask a server what it offers, and change nothing; `done` gets what stands in the way, or None."""
        try:
            client = self._make(address, key)
        except ValueError as error:
            done(Problem(address.rpartition("@")[2], str(error), ""))
            return

        def ask(_ticket: Any) -> Offers:
            try:
                return read_offers(client.info(), client.address)
            finally:
                client.close()

        def failed(error: UniUltraLibError) -> None:
            done(Problem.of(error))

        self._tasks.submit(ask, lambda _: done(None), failed, what="Testing the connection", key="test")

    def lost(self, error: ServerError) -> None:
        """The server did not answer; from now on `tick` tries again."""
        if self.connection == ONLINE:
            self.connection = LOST
            self._pause = FIRST_PAUSE_S
            self._next = time.monotonic() + self._pause
        self._told(Problem.of(error))

    def hurry(self) -> None:
        """Try a lost connection again now."""
        if self.connection == LOST and self._next is not None:
            self._pause, self._next = FIRST_PAUSE_S, time.monotonic()

    def tick(self) -> None:
        """Try again when it is time."""
        if self.connection == LOST and self._next is not None and time.monotonic() >= self._next:
            self._next = None
            self._ask_info("")

    def _ask_info(self, what: str) -> None:
        client = self.client
        if client is None:
            return

        def failed(error: UniUltraLibError) -> None:
            if client is self.client:
                self._failed(error)

        def done(offers: Offers) -> None:
            if client is self.client:
                self._answered(offers)

        self._tasks.submit(
            lambda _ticket: read_offers(client.info(), client.address),
            done,
            failed,
            what=what,
            key="info",
            quiet=not what,
        )

    def _answered(self, offers: Offers) -> None:
        self.connection, self.offers, self._pause = ONLINE, offers, FIRST_PAUSE_S
        self._told(None)
        self._online()

    def _failed(self, error: UniUltraLibError) -> None:
        self._told(Problem.of(error))
        refused = isinstance(error, Refused) and error.status in (401, 403)
        if self.connection != LOST or refused:
            self.connection = OFFLINE
            return
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        self._next = time.monotonic() + self._pause
