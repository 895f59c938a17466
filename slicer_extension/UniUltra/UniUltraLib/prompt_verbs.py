"""The controller's verbs about prompts: each belongs to the chosen segment on what is shown."""

from __future__ import annotations

from typing import Any, Callable, Optional, Sequence

from .core import Core
from .editing import Edit
from .errors import OutsideImage
from .shown import Shown, Stroke
from .state import ONLINE


class PromptVerbs(Core):
    """See `controller.Controller`."""

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
            self._needs_consent(shown, lambda: self.auto_segment(all_frames))
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
