"""What the panel does: every decision, without Qt and without knowing MRML.

Everything here is called on the GUI's thread and returns at once; what takes time goes to a worker, and what
comes of it is taken in `poll()`, which a timer calls about every 30 ms.
"""

from __future__ import annotations

from typing import Any, Callable, Optional, Sequence, Tuple

from ..errors import OutsideImage, ServerUnreachable, UniUltraLibError
from ..prompts.shown import Shown, Stroke
from ..wire.client import Client
from .connection import MakeClient, make_client
from .controller_base import Core, Settings
from .editing import Edit
from .scene_protocol import SceneSide
from .state import LOST, ONLINE, Problem
from .worker import Cancelled, Ticket


class Controller(Core):
    """The panel's decisions over one scene and one server.

    Args:
        scene: the side of the panel that is Slicer's scene.
        make: makes the client of an address and a key.
        settings: what is remembered; nothing is by default.
    """

    def __init__(
        self, scene: SceneSide, make: MakeClient = make_client, *, settings: Optional[Settings] = None
    ) -> None:
        super().__init__(scene, make, settings)
        self._offs = [
            scene.on("closed", self._closed),
            scene.on("segments", self.frame_changed),
            scene.on("segment_removed", self._segment_removed),
            scene.on("painted", self._painted),
            scene.on("frame", lambda _frame: self.frame_changed()),
            scene.on("view", self.frame_changed),
        ]
        self._changed()

    def select_segment(self, segment: Optional[str]) -> None:
        """Prompts belong to this segment from now on."""
        self._viewing.segment = segment
        self._changed()

    def add_segment(
        self, name: str = "", colour: Optional[Tuple[float, float, float]] = None
    ) -> Optional[str]:
        """Add a segment and choose it; its id. Without a name, it is the campaign's next structure."""
        made = self._try(lambda: self._viewing.add_segment(name, colour))
        self._changed()
        return made

    def remove_segment(self, segment: str) -> None:
        """Remove a segment with its masks and prompts."""
        self._try(lambda: self.scene.remove_segment(segment))
        self._changed()

    def reload_prompts(self, segment: str) -> None:
        """What the scene keeps with a segment was replaced: take that; what could be undone is forgotten."""
        self._editing.forget_segment(segment)
        self._changed()

    # -- prompts: each belongs to the chosen segment on what is shown --------------------------------------

    def point(self, key: str, place: Sequence[float], positive: bool = True, *, ijk: bool = False) -> None:
        """A point `key` was placed at `place`, a world position; with `ijk`, a voxel of what is shown."""
        if not ijk:
            self._try(lambda: self.scene.view_at(place))
        self._say(lambda shown: self._with_point(shown, key, place, positive, ijk))

    def move_point(self, key: str, place: Sequence[float], *, ijk: bool = False) -> None:
        """The point `key` was moved; the mask follows."""
        prompts = self._viewing.prompts
        point = next((p for p in prompts.points if p.key == key), None) if prompts is not None else None
        if point is not None:
            positive = point.positive
            self._say(lambda shown: self._with_point(shown, key, place, positive, ijk))

    def delete_point(self, key: str) -> None:
        """The point `key` was deleted; the mask follows."""
        self._say(lambda shown: lambda prompts: prompts.without_point(key))

    def delete_scribble(self, key: str) -> None:
        """Take a scribble back; the mask follows."""
        self._say(
            lambda shown: lambda prompts: prompts.with_scribble(key, prompts.scribble_pixels(key) & False)
        )

    def box(self, stroke: Optional[Stroke]) -> None:
        """A box was drawn, in place of one that is there; None takes it back."""
        self._draw(stroke, lambda shown, made: lambda prompts: prompts.with_box(made), self.scene.box)

    def lasso(self, stroke: Optional[Stroke]) -> None:
        """An outline was drawn, in place of one that is there; None takes it back."""
        self._draw(stroke, lambda shown, made: lambda prompts: prompts.with_lasso(made), self.scene.lasso)

    def scribble(self, stroke: Stroke) -> None:
        """A scribble was drawn."""

        def pixels(shown: Shown, world: Any) -> Any:
            return self.scene.scribble(shown, world, stroke.width)

        def edit(shown: Shown, made: Any) -> Edit:
            def add(prompts: Any) -> Any:
                taken = {scribble.key for scribble in prompts.scribbles}
                key = next(f"s{n}" for n in range(len(taken) + 1) if f"s{n}" not in taken)
                return prompts.with_scribble(key, made, stroke.positive)

            return add

        self._draw(stroke, edit, pixels)

    def stroke(self, stroke: Stroke) -> None:
        """Something was drawn: the prompt of its kind."""
        {"box": self.box, "lasso": self.lasso, "scribble": self.scribble}[stroke.kind](stroke)

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
        """Take back all prompts of the chosen segment on what is shown, and its mask there."""
        self._do(self._editing.clear, make=False)

    def cancel(self) -> None:
        """Wait for nothing any more: prompts without an answer are taken back, and late answers dropped."""
        self._consent = None
        self._auto.cancel()
        self._try(self._editing.cancel)
        self._asks.cancel()
        self._cancel_runs()
        self._changed()

    def auto_segment(self, all_frames: bool = False) -> None:
        """Have the chosen model without prompts segment what is shown, or every frame, into the segment."""
        shown = self._viewing.shown
        online = self._state.connection == ONLINE
        if shown is not None and online and not self._images.may_be_sent(shown, self._link.address):
            self._needs_consent(lambda: self.auto_segment(all_frames))
            return
        self._do(lambda shown, segment: self._auto.start(shown, segment, all_frames, self._changed))

    def consent(self, given: bool, blank: bool = False, always: bool = False) -> None:
        """The answer to `needs_consent`; without consent, the prompt that needed it is taken back.

        Args:
            blank: send only the ultrasound region.
            always: do not ask again about this server.
        """
        if self._consent is None:
            return
        if not given:
            self.cancel()
            return
        if always:
            self.settings["consent"] = self._link.address + (" blanked" if blank else "")
        self._agree(blank, self._after_consent)

    def accept(self, done: bool = True) -> None:
        """The frame (of a still or volume: all of it) is done, or with False is not."""
        shown = self._viewing.shown
        if shown is not None:
            self._try(lambda: self.scene.set_done(shown.frame or 0, done))
            self._changed()

    # -- the server ----------------------------------------------------------------------------------------

    def connect(self, address: str, key: str = "", annotator: str = "") -> None:
        """Connect to the server at `address`; prompts that wait are asked then."""
        self.settings["address"], self.settings["annotator"] = address, annotator
        self._asking.annotator = annotator
        self._let_go()
        self._notice = ""
        self._link.connect(address, key)
        self._changed()

    def test_connection(
        self, address: str, key: str = "", done: Optional[Callable[[Optional[Problem]], None]] = None
    ) -> None:
        """Ask whether a UniUltra server answers there, without connecting to it.

        `done` gets what stands in the way, or None; without it, problem or notice say so.
        """

        def answered(problem: Optional[Problem]) -> None:
            self._notice = "" if problem else "The server answers, and this module can work with it."
            if done is not None:
                done(problem)
            elif problem is not None or self._state.connection != LOST:
                self._problem = problem
            self._changed()

        self._link.test(address, key, answered)
        self._changed()

    def disconnect(self) -> None:
        """Let go of the server; prompts and masks stay."""
        self._let_go()
        self._link.disconnect()
        self._changed()

    def _let_go(self) -> None:
        """What is under way is the present server's: nothing of it may reach another."""
        self._problem = self._consent = None
        self._auto.cancel()
        self._asks.cancel()
        self._cancel_runs(quiet_too=True)
        self._prefetching.forget()
        self._images.forget_sessions(self._link.client)

    def retry(self) -> None:
        """Ask again what has no answer; at once, if the connection was lost."""
        self._link.hurry()
        self._asking.again(all_of_them=True)
        self._changed()

    def set_model(self, name: str) -> None:
        """Answer the next prompts with this model."""
        if name in self._link.offers.models:
            self._asking.model = self.settings["model"] = name
            self._prefetching.forget()
            self.frame_changed()

    def set_auto_model(self, name: str) -> None:
        """Segment without prompts by this model from now on."""
        if name in self._link.offers.auto_models:
            self._auto.model = self.settings["auto_model"] = name
            self._changed()

    def run(
        self,
        task: Callable[[Client], Any],
        done: Callable[[Any], None],
        failed: Optional[Callable[[UniUltraLibError], None]] = None,
        *,
        what: str = "",
        quiet: bool = False,
    ) -> Optional[Ticket]:
        """Have `task(client)` run by the worker, one after the other; prompts never wait for them.

        Args:
            task: touches neither the scene nor the panel.
            done: gets its result, in `poll()`.
            failed: gets its error, `Cancelled` when the person did not want to wait; without it, the error
                is shown as the problem.
            what: for the person, such as "Saving the label".
            quiet: not worth a word to the person.
        """
        client = self._link.client
        if client is None:
            error = UniUltraLibError("No server is connected. Connect to one, then try again.")
            self.tell(Problem.of(error)) if failed is None else failed(error)
            return None

        def ended(error: UniUltraLibError) -> None:
            self._runs.pop(ticket, None)
            if isinstance(error, ServerUnreachable):
                self._link.lost(error)
            if failed is not None:
                failed(error)
            elif not isinstance(error, Cancelled):
                self.tell(Problem.of(error))

        def finished(value: Any) -> None:
            self._runs.pop(ticket, None)
            done(value)

        ticket = self._tasks.submit(
            lambda ticket: task(client.with_report(ticket.report)), finished, ended, what=what, quiet=quiet
        )
        self._runs[ticket] = ended
        self._changed()
        return ticket

    def close(self) -> None:
        """The panel goes: nothing is asked any more, the scene stays as it is."""
        self._end()
        for worker in (self._asks, self._tasks, self._prefetching):
            worker.close()
        self._link.disconnect()

    def _closed(self) -> None:
        self._consent = None
        self._auto.cancel()
        self._editing.forget()
        self._asks.cancel()
        self._images.forget(self._link.client)
        self._prefetching.forget()
        self._viewing.segment = None
        self._changed()

    def _painted(self, segment: str) -> None:
        shown = self._viewing.shown
        if shown is not None:
            self._try(lambda: self._editing.painted(shown, segment))
        self._changed()

    def _segment_removed(self, segment: str) -> None:
        self._editing.forget_segment(segment)
        self._changed()

    def _with_point(self, shown: Shown, key: str, place: Sequence[float], positive: bool, ijk: bool) -> Edit:
        voxel = list(place) if ijk else list(self.scene.voxel(shown, place))
        if round(voxel[shown.plane.normal]) != shown.plane.index:
            raise OutsideImage("The point lies off the slice that is shown. Place it in that slice's view.")
        return lambda prompts: prompts.with_point(key, voxel, positive)

    def _draw(
        self,
        stroke: Optional[Stroke],
        edit: Callable[[Shown, Any], Edit],
        read: Callable[[Shown, Any], Any],
    ) -> None:
        if stroke is not None and stroke.view:
            self._try(lambda: self.scene.set_view(stroke.view))
        self._say(lambda shown: edit(shown, None if stroke is None else read(shown, stroke.world)))

    def _say(self, edit: Callable[[Shown], Edit]) -> None:
        self._do(lambda shown, segment: self._editing.say(shown, segment, edit(shown)))
