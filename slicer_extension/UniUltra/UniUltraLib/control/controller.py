"""The panel's decisions, without Qt and without MRML.

All methods are called on the GUI's thread and return at once. Calls to the server run on a worker's thread;
`poll()`, which a timer calls about every 30 ms, takes their results.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Callable, Optional, Sequence, Tuple

from ..errors import SceneError, UniUltraLibError
from ..prompts.answer import Answer
from ..prompts.shown import Edit
from ..wire.client import Client
from .auto_segment import AutoSegmentation
from .connection import Link, MakeClient
from .consent import UploadConsent
from .editing import Editing
from .image_reference import ImageReferences
from .messages import Messages
from .observable import Observable
from .prefetch import Prefetcher
from .requests import PromptRequest, PromptRequests
from .scene_protocol import SceneSide
from .state import CONNECTING, LOST, ONLINE, Problem, State
from .viewing import Viewing
from .worker import Worker


class Controller(Observable[State]):
    """The panel's decisions over one scene and one server.

    `run`, `tell` and `notify` are for the other parts of the panel: see `Link.run`, `Messages`.

    Args:
        scene: Slicer's scene.
        make: makes the client for an address and a key.
        settings: a mapping that is remembered between sessions, never in the scene: `address`, `annotator`,
            `model`, `auto_model` and `consent` (see `UploadConsent`), never the key. By default in memory.
    """

    def __init__(
        self,
        scene: SceneSide,
        make: MakeClient = lambda address, key: Client(address, api_key=key or None),
        *,
        settings: Optional[Any] = None,
    ) -> None:
        super().__init__(State())
        self.scene = scene
        self.settings = defaultdict(str) if settings is None else settings
        self._messages = messages = Messages(self._changed)
        self.tell, self.notify = messages.tell, messages.notify
        self._asks = Worker("uniultra-prompts", newest_first=True)
        self._background = Worker("uniultra-tasks")
        self._link = link = Link(make, self._background, self._online, self.tell, self._changed)
        self.run = link.run
        self._images = images = ImageReferences(scene)
        self._requests = PromptRequests(
            link, self._asks, images, self._answered, self.tell, lambda: self._consent.ask()
        )
        self._consent = UploadConsent(
            link,
            images,
            self.settings,
            lambda: messages.attempt(scene.warning),
            self._requests.again,
            self._changed,
        )
        self._editing = Editing(scene, self._requests, self.tell)
        self._auto = AutoSegmentation(link, self._asks, images, self._editing, self.tell)
        self._prefetcher = Prefetcher(link, images)
        self._viewing = Viewing(scene, self._editing, link)
        self._sources = [
            scene.on("closed", self._closed),
            scene.on("segments", self.frame_changed),
            scene.on("segment_removed", self.reload_prompts),
            scene.on("painted", self._painted),
            scene.on("frame", lambda _frame: self.frame_changed()),
            scene.on("view", self.frame_changed),
        ]
        self.frame_changed()

    @property
    def client(self) -> Optional[Client]:
        """The client of the connected server; None while offline."""
        return self._link.client

    def poll(self) -> None:
        """Take the workers' results, try to reconnect, update what the person is waiting for."""
        self._link.tick()
        self._asks.deliver()
        if self._background.deliver():
            self._viewing.read_scene()
        self._prefetcher.tick(self._requests.model, bool(self._asks.tickets))
        self._changed()

    def frame_changed(self) -> None:
        """Another frame, slice or view is shown, or an image was opened."""
        self._viewing.read_scene()
        self._changed()
        self._prefetcher.rest(self._viewing.shown)

    def close(self) -> None:
        """The panel closes: no more requests, the scene stays as it is."""
        super().close()
        for worker in (self._asks, self._background, self._prefetcher):
            worker.close()
        self._link.disconnect()

    # -- segments ------------------------------------------------------------------------------------------

    def select_segment(self, segment: Optional[str]) -> None:
        """Choose the segment that prompts belong to."""
        self._viewing.segment = segment
        self._viewing.read_scene()
        self._changed()

    def add_segment(
        self, name: str = "", colour: Optional[Tuple[float, float, float]] = None
    ) -> Optional[str]:
        """Add a segment, choose it, return its ID. Without a name, it is the campaign's next structure."""
        segment: Optional[str] = self._messages.attempt(self._viewing.add_segment, name, colour)
        self._changed()
        return segment

    def remove_segment(self, segment: str) -> None:
        """Remove a segment with its masks and prompts."""
        self._messages.attempt(self.scene.remove_segment, segment)
        self._changed()

    def reload_prompts(self, segment: str) -> None:
        """A segment was removed, or the prompts stored with it were replaced: drop its undo history."""
        self._editing.forget_segment(segment)
        self._viewing.read_scene()
        self._changed()

    # -- prompts: each belongs to the chosen segment on what is shown --------------------------------------

    def edit(self, edit: Edit) -> None:
        """A prompt was placed, moved or removed in the shown view; ask for the new mask."""
        self._do(self._editing.edit, edit, make=edit.world is not None)

    def point(self, key: str, world: Sequence[float], positive: bool = True) -> None:
        """The point `key` was placed at a world position (3,), or moved there."""
        self.edit(Edit("point", positive, world, key=key))

    def delete_point(self, key: str) -> None:
        """The point `key` was deleted."""
        self.edit(Edit("point", key=key))

    def refine(self) -> None:
        """Have the model refine the segment's present mask on the shown picture."""
        self._do(self._editing.refine)

    def undo(self) -> None:
        """Undo the last edit of the chosen segment on the shown picture, together with its mask."""
        self._do(self._editing.undo, make=False)

    def redo(self) -> None:
        """Redo the edit that was undone last."""
        self._do(self._editing.redo, make=False)

    def clear(self) -> None:
        """Remove all prompts and the mask of the chosen segment on the shown picture."""
        self._do(self._editing.clear, make=False)

    def cancel(self) -> None:
        """Stop waiting: prompts without an answer are removed, and late answers dropped."""
        self._consent.question = None
        self._auto.cancel()
        self._messages.attempt(self._editing.cancel)
        self._asks.cancel()
        self._link.cancel()
        self._changed()

    def auto_segment(self, all_frames: bool = False) -> None:
        """Have the fully automatic model segment the shown picture, or every frame, into the segment."""
        shown = self._viewing.shown
        online = self._state.connection == ONLINE
        if shown is not None and online and not self._images.may_be_sent(shown, self._link.address):
            self._consent.ask(lambda: self.auto_segment(all_frames))
            return
        self._do(self._auto.start, all_frames, self._changed)

    def consent(self, given: bool, blank: bool = False, always: bool = False) -> None:
        """The answer to `needs_consent`; without consent, the prompt that needed it is removed.

        Args:
            blank: send only the ultrasound region.
            always: do not ask again about this server.
        """
        if self._consent.question is None:
            return
        if given:
            self._consent.give(blank, always)
        else:
            self.cancel()

    def accept(self, done: bool = True) -> None:
        """Mark the shown frame (of a still or a volume: all of it) as done, or with False as not done."""
        shown = self._viewing.shown
        if shown is not None:
            self._messages.attempt(self.scene.set_done, shown.frame or 0, done)
            self._viewing.read_scene()
            self._changed()

    # -- the server ----------------------------------------------------------------------------------------

    def connect(self, address: str, key: str = "", annotator: str = "") -> None:
        """Connect to the server at `address`; waiting prompts are sent once it answers."""
        self.settings["address"], self.settings["annotator"] = address, annotator
        self._requests.annotator = annotator
        self._stop_all()
        self._messages.notice = ""
        self._link.connect(address, key)
        self._changed()

    def test_connection(
        self, address: str, key: str = "", done: Optional[Callable[[Optional[Problem]], None]] = None
    ) -> None:
        """Check whether a UniUltra server answers at `address`, without connecting to it.

        `done` gets the problem, or None; without `done`, the state's problem or notice shows the result.
        """

        def answered(problem: Optional[Problem]) -> None:
            self._messages.notice = "" if problem else "The server answers, and this module can work with it."
            if done is not None:
                done(problem)
            elif problem is not None or self._state.connection != LOST:
                self._messages.problem = problem
            self._changed()

        self._link.test(address, key, answered)
        self._changed()

    def disconnect(self) -> None:
        """Disconnect from the server; prompts and masks stay."""
        self._stop_all()
        self._link.disconnect()
        self._changed()

    def retry(self) -> None:
        """Send unanswered prompts again, and try to reconnect at once if the connection is lost."""
        self._link.hurry()
        self._requests.again(all_of_them=True)
        self._changed()

    def set_model(self, name: str) -> None:
        """Choose the model that answers prompts."""
        if name in self._link.offers.models:
            self._requests.model = self.settings["model"] = name
            self._prefetcher.forget()
            self.frame_changed()

    def set_auto_model(self, name: str) -> None:
        """Choose the fully automatic model."""
        if name in self._link.offers.auto_models:
            self._auto.model = self.settings["auto_model"] = name
            self._changed()

    # -- inside --------------------------------------------------------------------------------------------

    def _do(self, action: Callable[..., None], *values: Any, make: bool = True) -> None:
        """Call `action(shown, segment, *values)` on the chosen segment; without one, add it if `make`."""
        messages, viewing = self._messages, self._viewing
        if self._state.connection not in (LOST, CONNECTING):
            messages.problem = None
        messages.notice = ""
        viewing.read_scene()
        try:
            if viewing.shown is None:
                raise SceneError("No image is shown. Open one, and scroll the view onto it.")
            if viewing.segment is not None:
                action(viewing.shown, viewing.segment, *values)
            elif make:
                segment = viewing.add_segment()
                try:
                    action(viewing.shown, segment, *values)
                except UniUltraLibError:
                    self.scene.remove_segment(segment)  # else it would stay empty
                    raise
        except UniUltraLibError as error:
            messages.problem = Problem.of(error)
        self._asks.give_way()
        self._changed()

    def _answered(self, request: PromptRequest, answer: Answer) -> None:
        self._messages.problem = None
        self._messages.attempt(self._editing.answered, request, answer)
        self._prefetcher.answered(request.shown, answer.model)

    def _online(self) -> None:
        offers = self._link.offers
        self._requests.model = _choose(self.settings["model"], offers.models)
        self._auto.model = _choose(self.settings["auto_model"], offers.auto_models)
        self._prefetcher.forget()
        self.frame_changed()
        self._requests.again()

    def _stop_all(self) -> None:
        """Cancel all calls to the present server: none of their results may count for another one."""
        self._messages.problem = None
        self._stop_requests()
        self._link.cancel(quiet_too=True)
        self._images.forget_uploads()

    def _stop_requests(self) -> None:
        self._consent.question = None
        self._auto.cancel()
        self._asks.cancel()
        self._prefetcher.forget()

    def _closed(self) -> None:
        self._editing.forget()
        self._stop_requests()
        self._images.forget()
        self._viewing.segment = None
        self.frame_changed()

    def _painted(self, segment: str) -> None:
        shown = self._viewing.shown
        if shown is not None:
            self._messages.attempt(self._editing.painted, shown, segment)
        self._changed()

    def _changed(self) -> None:
        """Compose the new state, and publish it if it differs from the last one."""
        tickets = [*self._asks.tickets, *self._background.tickets]
        prompts = self._viewing.prompts  # read first, because unreadable stored prompts set the problem
        state = self._viewing.state(
            [ticket for ticket in tickets if not ticket.quiet],
            prompts=prompts,
            problem=self._messages.problem,
            notice=self._messages.notice,
            needs_consent=self._consent.question,
            address=self._link.address or str(self.settings["address"]),
            annotator=str(self.settings["annotator"]),
            model=self._requests.model if self._link.offers.models else None,
            auto_model=self._auto.model if self._link.offers.auto_models else None,
            waiting=self._requests.waiting,
        )
        self._publish(state)


def _choose(wanted: Any, offered: Sequence[str]) -> Optional[str]:
    return wanted if wanted in offered else next(iter(offered), None)
