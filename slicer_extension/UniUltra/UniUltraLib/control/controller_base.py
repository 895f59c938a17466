"""The controller's common ground: its parts, its state, and how an action or an answer changes it."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Protocol, Sequence

from ..errors import SceneError, UniUltraLibError
from ..prompts.shown import Shown
from ..wire.client import Answer, Client
from .auto_segment import AutoSegmenting
from .connection import Link, MakeClient
from .editing import Editing
from .image_reference import OwnImages
from .observable import Telling
from .prefetch import Prefetching
from .requests import Asked, Asking
from .scene_protocol import SceneSide
from .state import CONNECTING, LOST, Consent, Problem, State
from .viewing import Viewing
from .worker import Cancelled, Ticket, Worker


class Settings(Protocol):
    """What is remembered between sessions, never in the scene: `address`, `annotator`, `model`, `auto_model`,
    and `consent`: the address that images may be sent to without being asked again. Never the key.
    """

    def __getitem__(self, name: str) -> Any: ...

    def __setitem__(self, name: str, value: Any) -> None: ...


class Forgetful(Dict[str, Any]):
    """Settings that end with the program."""

    def __missing__(self, name: str) -> str:
        return ""


class Core(Telling[State]):
    """See `controller.Controller`."""

    def __init__(self, scene: SceneSide, make: MakeClient, settings: Optional[Settings]) -> None:
        super().__init__(State())
        self.scene = scene
        self.settings: Settings = Forgetful() if settings is None else settings
        self._runs: Dict[Ticket, Callable[[UniUltraLibError], None]] = {}
        self._problem: Optional[Problem] = None
        self._notice = ""
        self._consent: Optional[Consent] = None
        self._after_consent: Optional[Callable[[], None]] = None
        self._asks = Worker("uniultra-prompts", newest_first=True)
        self._tasks = Worker("uniultra-tasks")
        self._link = Link(make, self._tasks, self._online, self.tell)
        self._images = OwnImages(scene)
        self._editing = Editing(scene, self.tell)
        self._asking = Asking(
            self._link, self._asks, self._images, self._answered, self.tell, self._needs_consent
        )
        self._editing.asking = self._asking
        self._auto = AutoSegmenting(self._link, self._asks, self._images, self._editing, self.tell)
        self._prefetching = Prefetching(self._link, self._images)
        self._viewing = Viewing(scene, self._editing, self._link)
        self._state = State(address=str(self.settings["address"]), annotator=str(self.settings["annotator"]))

    @property
    def client(self) -> Optional[Client]:
        """Of the connected server."""
        return self._link.client

    def tell(self, problem: Optional[Problem]) -> None:
        """Show a problem, or with None that it is over."""
        self._problem = problem
        self._changed()

    def notify(self, text: str) -> None:
        """Show a line about something that went well."""
        self._notice = text
        self._changed()

    def poll(self) -> None:
        """Take what has come, try a lost connection again, say what keeps the person waiting."""
        self._link.tick()
        came = self._asks.poll()
        came = self._tasks.poll() or came
        self._prefetching.tick(self._asking.model, bool(self._asks.tickets))
        self._changed(look=came)

    def frame_changed(self) -> None:
        """Another frame, slice or view is shown, or an image was opened."""
        self._changed()
        self._prefetching.rest(self._viewing.shown)

    def _do(self, action: Callable[[Shown, str], None], make: bool = True) -> None:
        """Do something to the chosen segment on what is shown; where there is none, `make` one."""
        if self._state.connection not in (LOST, CONNECTING):
            self._problem = None
        self._notice = ""

        def work() -> None:
            self._viewing.look()
            shown = self._viewing.shown
            if shown is None:
                raise SceneError("No image is shown. Open one, and scroll the view onto it.")
            segment = self._viewing.segment
            if segment is not None:
                action(shown, segment)
            elif make:
                segment = self._viewing.add_segment()
                try:
                    action(shown, segment)
                except UniUltraLibError:
                    self.scene.remove_segment(segment)  # nobody asked for an empty one
                    raise

        self._try(work)
        self._asks.give_way()
        self._changed()

    def _try(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except UniUltraLibError as error:
            self._problem = Problem.of(error)
            return None

    def _online(self) -> None:
        offers = self._link.offers
        self._asking.model = _choose(self.settings["model"], offers.models)
        self._auto.model = _choose(self.settings["auto_model"], offers.auto_models)
        self._prefetching.forget()
        self.frame_changed()
        self._asking.again()

    def _answered(self, asked: Asked, answer: Answer) -> None:
        self._problem = None
        self._try(lambda: self._editing.answered(asked, answer))
        self._prefetching.answered(asked.shown, answer.model)

    def _needs_consent(self, then: Optional[Callable[[], None]] = None) -> None:
        address, _, blanked = str(self.settings["consent"]).partition(" ")
        if address and address == self._link.address and not (blanked and self._images.cannot_blank):
            self._agree(bool(blanked), then)
            return
        self._after_consent = then
        self._consent = Consent(self._link.address, self._try(self.scene.warning) or None)
        self._changed()

    def _agree(self, blanked: bool, then: Optional[Callable[[], None]]) -> None:
        self._consent = None
        self._images.agree(self._link.address, blanked)
        self._asking.again()
        if then is not None:
            then()
        self._changed()

    def _cancel_runs(self, quiet_too: bool = False) -> None:
        """End what `run` was given, and tell whoever gave it."""
        gone = [ticket for ticket in self._tasks.tickets if quiet_too or not ticket.quiet]
        gone = [ticket for ticket in gone if ticket.key not in ("info", "test")]
        self._tasks.cancel(lambda ticket: ticket in gone)
        for ticket in gone:
            if ticket in self._runs:
                self._runs[ticket](Cancelled("Cancelled."))

    def _changed(self, look: bool = True) -> None:
        """Make the new state, and tell it if it is another one."""
        if look:
            self._viewing.look()
        workers = (self._asks, self._tasks)
        tickets = [ticket for worker in workers for ticket in worker.tickets if not ticket.quiet]
        state = self._viewing.state(
            tickets,
            problem=self._problem,
            notice=self._notice,
            needs_consent=self._consent,
            address=self._link.address or str(self.settings["address"]),
            annotator=str(self.settings["annotator"]),
            model=self._asking.model if self._link.offers.models else None,
            auto_model=self._auto.model if self._link.offers.auto_models else None,
            waiting=self._asking.waiting,
        )
        self._show(state)


def _choose(wanted: Any, there: Sequence[str]) -> Optional[str]:
    return wanted if wanted in there else next(iter(there), None)
