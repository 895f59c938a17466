"""The connection to a server: made, tested, lost, and made again with growing pauses; what the server offers,
and whether it is one that this panel can work with.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, FrozenSet, Mapping, Optional, Tuple

from ..errors import Refused, ServerError, UnexpectedAnswer, UniUltraLibError
from ..prompts.kinds import MASK, PROMPT_KINDS
from ..wire.client import Client
from .state import CONNECTING, LOST, OFFLINE, ONLINE, Problem
from .worker import Worker

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
# The version of docs/wire.md that this panel speaks.
WIRE = 1


@dataclass(frozen=True)
class Offers:
    """Models and strategies of a server.

    Attributes:
        info: all of `/info/`.
        models: names of those that take prompts, the server's order.
        auto_models: names of those that take none.
        kinds: the kinds of prompts that a model takes, by name.
        strategies: names, the campaign's own first.
        prefetch: the server encodes a picture before it is asked about.
    """

    info: Mapping[str, Any] = field(default_factory=dict)
    models: Tuple[str, ...] = ()
    auto_models: Tuple[str, ...] = ()
    kinds: Mapping[str, FrozenSet[str]] = field(default_factory=dict)
    strategies: Tuple[str, ...] = ()
    prefetch: bool = False


def read_offers(info: Mapping[str, Any], address: str) -> Offers:
    """What `/info/` of the server at `address` offers.

    Raises:
        UnexpectedAnswer: it is no UniUltra server, or one of another version.
    """
    ours = info.get("uniultra")
    wire = ours.get("wire") if isinstance(ours, dict) else None
    if not isinstance(ours, dict) or not isinstance(info.get("models"), dict):
        raise UnexpectedAnswer(
            address,
            "a MONAI Label server answers there, but it is not UniUltra, or older than this module.",
            "Start or update UniUltra there (`uniultra serve --studies FOLDER`), or correct the address.",
        )
    if wire != WIRE:
        older = isinstance(wire, int) and wire < WIRE
        raise UnexpectedAnswer(
            address,
            f"the server's answers are of version {wire}, this module's of version {WIRE}.",
            "Update the server." if older else "Update this module (the UniUltra extension of Slicer).",
        )
    models = {str(name): model for name, model in info["models"].items() if isinstance(model, dict)}
    prompted = [name for name, model in models.items() if model.get("type") == "deepgrow"]
    return Offers(
        info=info,
        models=tuple(prompted),
        auto_models=tuple(name for name, model in models.items() if model.get("type") == "segmentation"),
        kinds={name: _kinds(models[name]) for name in prompted},
        strategies=_strategies(info),
        prefetch="prefetch" in (ours.get("features") or ()),
    )


def _kinds(model: Mapping[str, Any]) -> FrozenSet[str]:
    kinds, ours = model.get("prompts"), frozenset((*PROMPT_KINDS, MASK))
    return ours & set(map(str, kinds)) if isinstance(kinds, (list, tuple)) else ours


def _strategies(info: Mapping[str, Any]) -> Tuple[str, ...]:
    names = [str(name) for name in _dict(info.get("strategies"))]
    own = _dict(info.get("campaign")).get("strategy")
    return tuple(sorted(names, key=lambda name: name != own))


def _dict(value: Any) -> Dict[Any, Any]:
    return value if isinstance(value, dict) else {}


# Makes the client of an address and a key; nothing is sent yet.
MakeClient = Callable[[str, str], Client]


def make_client(address: str, key: str) -> Client:
    """The client as the panel uses it; an empty key means no key."""
    return Client(address, api_key=key or None)


class Link:
    """One server.

    Args:
        make: makes clients.
        tasks: the worker that asks for `/info/`.
        online: called when the server answers, first and again.
        tell: called with a problem, or with None when it is over.
    """

    def __init__(
        self,
        make: MakeClient,
        tasks: Worker,
        online: Callable[[], None],
        tell: Callable[[Optional[Problem]], None],
    ) -> None:
        self._make, self._tasks, self._online, self._tell = make, tasks, online, tell
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
            self._tell(Problem(address.rpartition("@")[2], str(error), ""))
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

        self._tasks.submit(
            ask,
            lambda _: done(None),
            lambda error: done(Problem.of(error)),
            what="Testing the connection",
            key="test",
        )

    def lost(self, error: ServerError) -> None:
        """The server did not answer; from now on `tick` tries again."""
        if self.connection == ONLINE:
            self.connection = LOST
            self._pause = FIRST_PAUSE_S
            self._next = time.monotonic() + self._pause
        self._tell(Problem.of(error))

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

        self._tasks.submit(
            lambda _ticket: read_offers(client.info(), client.address),
            lambda offers: self._answered(offers) if client is self.client else None,
            lambda error: self._failed(error) if client is self.client else None,
            what=what,
            key="info",
            quiet=not what,
        )

    def _answered(self, offers: Offers) -> None:
        self.connection, self.offers, self._pause = ONLINE, offers, FIRST_PAUSE_S
        self._tell(None)
        self._online()

    def _failed(self, error: UniUltraLibError) -> None:
        self._tell(Problem.of(error))
        refused = isinstance(error, Refused) and error.status in (401, 403)
        if self.connection != LOST or refused:
            self.connection = OFFLINE
            return
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        self._next = time.monotonic() + self._pause
