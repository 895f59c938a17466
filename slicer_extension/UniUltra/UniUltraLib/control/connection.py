"""The connection to one server: connecting, testing, reconnecting with growing pauses, calls; and what the
server offers, if it is one that this panel can work with.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, FrozenSet, Mapping, Optional, Tuple

from ..errors import Refused, ServerError, ServerUnreachable, UnexpectedAnswer, UniUltraLibError
from ..prompts.kinds import MASK, PROMPT_KINDS
from ..wire.client import Client
from .state import CONNECTING, LOST, OFFLINE, ONLINE, Problem
from .worker import JobCancelled, Worker

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
# The version of docs/wire.md that this panel implements.
WIRE = 1


@dataclass(frozen=True)
class Offers:
    """Models and query strategies of a server.

    Attributes:
        info: all of `/info/`.
        models: names of the interactive models, in the server's order.
        auto_models: names of the fully automatic models.
        kinds: the kinds of prompts that each interactive model takes, by its name.
        strategies: names, the campaign's default first.
        prefetch: the server can encode a picture before the first prompt on it.
    """

    info: Mapping[str, Any] = field(default_factory=dict)
    models: Tuple[str, ...] = ()
    auto_models: Tuple[str, ...] = ()
    kinds: Mapping[str, FrozenSet[str]] = field(default_factory=dict)
    strategies: Tuple[str, ...] = ()
    prefetch: bool = False


def read_offers(info: Mapping[str, Any], address: str) -> Offers:
    """Read `info`, the answer to `/info/` of the server at `address`.

    Raises:
        UnexpectedAnswer: the server is not UniUltra, or of another version.
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


# Makes the client for an address and a key (empty: none); nothing is sent yet.
MakeClient = Callable[[str, str], Client]
Failed = Callable[[UniUltraLibError], None]


class Link:
    """The connection to one server.

    Args:
        make: makes clients.
        tasks: the worker that makes all calls but prompts.
        online: called when the server answers for the first time, and after every reconnection.
        tell: called with a problem, or with None when it is solved.
        changed: called when a task was submitted.

    Attributes:
        connection: `offline`, `connecting`, `online` or `lost`.
        client: of the server; None while offline.
        offers: what the server offers; empty until it has answered.
    """

    def __init__(
        self,
        make: MakeClient,
        tasks: Worker,
        online: Callable[[], None],
        tell: Callable[[Optional[Problem]], None],
        changed: Callable[[], None],
    ) -> None:
        self._make, self._tasks = make, tasks
        self._online, self._tell, self._changed = online, tell, changed
        self.connection = OFFLINE
        self.client: Optional[Client] = None
        self.offers = Offers()
        self._pause = FIRST_PAUSE_S
        self._next: Optional[float] = None

    @property
    def address(self) -> str:
        """The server's address, without a name or password; empty while offline."""
        return self.client.address if self.client else ""

    def connect(self, address: str, key: str) -> None:
        """Connect to the server at `address`; it is online once it has said what it offers."""
        self.disconnect()
        self.client = self._client(address, key, self._tell)
        if self.client is not None:
            self.connection = CONNECTING
            self._ask_info("Connecting")

    def disconnect(self) -> None:
        """Close the connection."""
        if self.client is not None:
            self.client.close()
        self._tasks.cancel(lambda ticket: ticket.key == "info")
        self.connection, self.client, self.offers, self._next = OFFLINE, None, Offers(), None

    def test(self, address: str, key: str, done: Callable[[Optional[Problem]], None]) -> None:
        """Ask a server what it offers without connecting to it; `done` gets the problem, or None."""
        client = self._client(address, key, done)
        if client is None:
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
        """The server did not answer: from now on `tick` tries to reconnect."""
        if self.connection == ONLINE:
            self.connection = LOST
            self._pause = FIRST_PAUSE_S
            self._next = time.monotonic() + self._pause
        self._tell(Problem.of(error))

    def hurry(self) -> None:
        """Try to reconnect now, if the connection is lost."""
        if self.connection == LOST and self._next is not None:
            self._pause, self._next = FIRST_PAUSE_S, time.monotonic()

    def tick(self) -> None:
        """Try to reconnect when it is time; called about every 30 ms."""
        if self.connection == LOST and self._next is not None and time.monotonic() >= self._next:
            self._next = None
            self._ask_info("")

    def run(
        self,
        task: Callable[[Client], Any],
        done: Callable[[Any], None],
        failed: Optional[Failed] = None,
        *,
        what: str = "",
        quiet: bool = False,
    ) -> None:
        """Run `task(client)` on the worker, after the tasks before it; prompts never wait for them.

        If the server cannot be reached, the connection counts as lost.

        Args:
            task: touches neither the scene nor the panel.
            done: called with the result, in `Controller.poll`.
            failed: called with the error, which is `JobCancelled` if the person cancelled; without it, the
                error is shown as the problem.
            what: shown while it runs, such as "Saving the label".
            quiet: never shown as busy.
        """
        client = self.client

        def ended(error: UniUltraLibError) -> None:
            if isinstance(error, ServerUnreachable):
                self.lost(error)
            if failed is not None:
                failed(error)
            elif not isinstance(error, JobCancelled):
                self._tell(Problem.of(error))

        if client is None:
            ended(UniUltraLibError("No server is connected. Connect to one, then try again."))
            return
        self._tasks.submit(
            lambda ticket: task(client.with_report(ticket.report)),
            done,
            ended,
            what=what,
            quiet=quiet,
        )
        self._changed()

    def cancel(self, quiet_too: bool = False) -> None:
        """Cancel what `run` has started; `failed` of each task gets `JobCancelled`."""
        tickets = [ticket for ticket in self._tasks.tickets if not isinstance(ticket.key, str)]
        tickets = [ticket for ticket in tickets if quiet_too or not ticket.quiet]
        self._tasks.cancel(lambda ticket: ticket in tickets)
        for ticket in tickets:
            ticket.failed(JobCancelled("Cancelled."))

    def _client(self, address: str, key: str, tell: Callable[[Optional[Problem]], None]) -> Optional[Client]:
        try:
            return self._make(address, key)
        except ValueError as error:
            tell(Problem(address.rpartition("@")[2], str(error), ""))
            return None

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
        )  # the answer of a client that was replaced meanwhile is ignored

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
