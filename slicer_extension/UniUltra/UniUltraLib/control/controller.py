"""What the panel does: every decision, without Qt and without knowing MRML.

Everything here is called on the GUI's thread and returns at once; what takes time goes to a worker, and its
result is taken in `poll()`, which a timer calls about every 30 ms.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Callable, Optional, Sequence, Tuple

from ..errors import SceneError, UniUltraLibError
from ..prompts.answer import Answer
from ..prompts.shown import Edit
from ..wire.client import Client
from .auto_segment import AutoSegmentation
from .connection import Link, MakeClient, make_client
from .consent import UploadConsent
from .editing import Editing
from .image_reference import ImageReferences
from .messages import Messages
from .observable import Observable
from .prefetch import Prefetcher
from .requests import PromptRequest, PromptRequests
from .scene_protocol import SceneSide
from .server_tasks import ServerTasks
from .state import CONNECTING, LOST, ONLINE, Problem, State
from .viewing import Viewing
from .worker import Worker


class Controller(Observable[State]):
    """The panel's decisions over one scene and one server.

    `run`, `tell` and `notify` are for the other parts of the panel: see `ServerTasks.run`, `Messages`.

    Args:
        scene: the side of the panel that is Slicer's scene.
        make: makes the client of an address and a key.
        settings: what is remembered between sessions, never in the scene: `address`, `annotator`, `model`,
            `auto_model`, and `consent` (see `UploadConsent`), never the key. A mapping; by default in memory.
    """

    def __init__(
        self, scene: SceneSide, make: MakeClient = make_client, *, settings: Optional[Any] = None
    ) -> None:
        super().__init__(State())
        self.scene = scene
        self.settings = defaultdict(str) if settings is None else settings
        self._messages = messages = Messages(self._changed)
        self.tell, self.notify = messages.tell, messages.notify
        self._asks = Worker("uniultra-prompts", newest_first=True)
        self._background = Worker("uniultra-tasks")
        self._link = link = Link(make, self._background, self._online, self.tell)
        self._tasks = ServerTasks(link, self._background, self.tell, self._changed)
        self.run = self._tasks.run
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
        """Of the connected server."""
        return self._link.client

    def poll(self) -> None:
        """Take the workers' results, try a lost connection again, say what keeps the person waiting."""
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
        """Prompts belong to this segment from now on."""
        self._viewing.segment = segment
        self._viewing.read_scene()
        self._changed()

    def add_segment(
        self, name: str = "", colour: Optional[Tuple[float, float, float]] = None
    ) -> Optional[str]:
        """Add a segment and choose it; its id. Without a name, it is the campaign's next structure."""
        made = self._messages.attempt(self._viewing.add_segment, name, colour)
        self._changed()
        return made

    def remove_segment(self, segment: str) -> None:
        """Remove a segment with its masks and prompts."""
        self._messages.attempt(self.scene.remove_segment, segment)
        self._changed()

    def reload_prompts(self, segment: str) -> None:
        """A segment was removed, or the prompts kept with it were replaced: its undo history is forgotten."""
        self._editing.forget_segment(segment)
        self._viewing.read_scene()
        self._changed()

    # -- prompts: each belongs to the chosen segment on what is shown --------------------------------------

    def edit(self, edit: Edit) -> None:
        """A prompt was given, moved or removed in the shown view; the mask follows."""
        self._do(self._editing.edit, edit, make=edit.world is not None)

    def point(self, key: str, world: Sequence[float], positive: bool = True) -> None:
        """The point `key` was placed at a world position (3,), or moved there."""
        self.edit(Edit("point", positive, world, key=key))

    def delete_point(self, key: str) -> None:
        """The point `key` was deleted."""
        self.edit(Edit("point", key=key))

    def refine(self) -> None:
        """What the segment holds on what is shown, however it was painted, becomes the mask to refine."""
        self._do(self._editing.refine)

    def undo(self) -> None:
        """Take back the last edit of the chosen segment on what is shown, together with its mask."""
        self._do(self._editing.undo, make=False)

    def redo(self) -> None:
        """Bring back what was undone."""
        self._do(self._editing.redo, make=False)

    def clear(self) -> None:
        """Remove all prompts of the chosen segment on what is shown, and its mask there."""
        self._do(self._editing.clear, make=False)

    def cancel(self) -> None:
        """Stop waiting: prompts without an answer are removed, and late answers dropped."""
        self._consent.drop()
        self._auto.cancel()
        self._messages.attempt(self._editing.cancel)
        self._asks.cancel()
        self._tasks.cancel()
        self._changed()

    def auto_segment(self, all_frames: bool = False) -> None:
        """Have the chosen automatic model segment what is shown, or every frame, into the segment."""
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
        """The frame (of a still or volume: all of it) is done, or with False is not."""
        shown = self._viewing.shown
        if shown is not None:
            self._messages.attempt(self.scene.set_done, shown.frame or 0, done)
            self._viewing.read_scene()
            self._changed()

    # -- the server ----------------------------------------------------------------------------------------

    def connect(self, address: str, key: str = "", annotator: str = "") -> None:
        """Connect to the server at `address`; prompts that wait are sent then."""
        self.settings["address"], self.settings["annotator"] = address, annotator
        self._requests.annotator = annotator
        self._let_go()
        self._messages.notice = ""
        self._link.connect(address, key)
        self._changed()

    def test_connection(
        self, address: str, key: str = "", done: Optional[Callable[[Optional[Problem]], None]] = None
    ) -> None:
        """Ask whether a UniUltra server answers there, without connecting to it.

        `done` gets what stands in the way, or None; without it, problem or notice say so.
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
        """Let go of the server; prompts and masks stay."""
        self._let_go()
        self._link.disconnect()
        self._changed()

    def retry(self) -> None:
        """Send again what has no answer; at once, if the connection was lost."""
        self._link.hurry()
        self._requests.again(all_of_them=True)
        self._changed()

    def set_model(self, name: str) -> None:
        """Answer the next prompts with this model."""
        if name in self._link.offers.models:
            self._requests.model = self.settings["model"] = name
            self._prefetcher.forget()
            self.frame_changed()

    def set_auto_model(self, name: str) -> None:
        """Segment without prompts by this model from now on."""
        if name in self._link.offers.auto_models:
            self._auto.model = self.settings["auto_model"] = name
            self._changed()

    # -- inside --------------------------------------------------------------------------------------------

    def _do(self, action: Callable[..., None], *values: Any, make: bool = True) -> None:
        """Call `action(shown, segment, *values)` on the chosen segment; where there is none, `make` one."""
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
                    self.scene.remove_segment(segment)  # an empty one was not asked for
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

    def _let_go(self) -> None:
        """What is under way is the present server's: nothing of it may reach another."""
        self._messages.problem = None
        self._consent.drop()
        self._auto.cancel()
        self._asks.cancel()
        self._tasks.cancel(quiet_too=True)
        self._prefetcher.forget()
        self._images.forget_sessions(self._link.client)

    def _closed(self) -> None:
        self._consent.drop()
        self._auto.cancel()
        self._editing.forget()
        self._asks.cancel()
        self._images.forget(self._link.client)
        self._prefetcher.forget()
        self._viewing.segment = None
        self._viewing.read_scene()
        self._changed()

    def _painted(self, segment: str) -> None:
        shown = self._viewing.shown
        if shown is not None:
            self._messages.attempt(self._editing.painted, shown, segment)
        self._changed()

    def _changed(self) -> None:
        """Make the new state, and publish it if it is another one."""
        tickets = [*self._asks.tickets, *self._background.tickets]
        prompts = self._viewing.prompts  # first: stored prompts that cannot be read are a problem
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
