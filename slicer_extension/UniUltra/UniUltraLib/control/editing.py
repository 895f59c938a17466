"""Prompts and masks of every segment and picture: an edit is sent, can be undone, is kept."""

from __future__ import annotations

from typing import Callable, Dict, Optional, Set, Tuple

import numpy as np

from ..errors import PromptsError, UniUltraLibError
from ..prompts.answer import Answer
from ..prompts.history import Moment, Timeline
from ..prompts.kinds import CLICK, PROMPT_KINDS
from ..prompts.prompt_set import PromptBook, PromptSet
from ..prompts.shown import Edit, Shown
from .requests import PromptRequest, PromptRequests
from .scene_protocol import Place, SceneSide, place_of
from .state import Problem


class Editing:
    """The prompts on the open image, and the masks that came of them.

    Args:
        scene: where masks are read and written.
        requests: sends prompts to the server.
        tell: called with a problem.
    """

    def __init__(self, scene: SceneSide, requests: PromptRequests, tell: Callable[[Problem], None]) -> None:
        self._scene, self._requests, self._tell = scene, requests, tell
        self._book = PromptBook()
        self._timelines: Dict[Tuple[Place, str], Timeline] = {}
        self._loaded: Set[str] = set()
        self.clicks = 0

    def prompts(self, shown: Shown, segment: str) -> PromptSet:
        """The prompts of a segment on a picture; none when what is kept belongs to another size."""
        self._load(segment)
        try:
            return self._book.get(shown.key, shown.plane, segment, shown.size)
        except PromptsError:
            return PromptSet(shown.size, shown.plane)

    def timeline(self, shown: Shown, segment: str) -> Optional[Timeline]:
        """What can be undone there; None when nothing was done yet."""
        return self._timelines.get((place_of(shown), segment))

    def edit(self, shown: Shown, segment: str, edit: Edit) -> None:
        """Change the prompts of a segment on a picture; the mask follows.

        The mask is read here once, for undo, and once more when the answer comes: nothing else reads it.

        Raises:
            PromptsError: the edit makes no sense; nothing is changed.
            SceneError: the segment or its mask cannot be reached.
        """
        prompts = self._edited(self.prompts(shown, segment), shown, edit)
        timeline = self._synced(shown, segment)
        if prompts == timeline.now.prompts:
            return
        base = timeline.base_for(prompts)
        self._keep(shown, segment, prompts)
        if not prompts or (base is not None and base.prompts == prompts and base is not timeline.now):
            # Nothing is left to ask, or the answer is known: what was there before, if that is known.
            held = base.mask.array() if base and base.mask else self._scene.read(segment, shown)
            self._requests.drop(lambda request: request.timeline is timeline)
            moment = timeline.add(prompts, held)
            moment.answer = base.answer if base else None
            self._write(shown, segment, timeline, held)
            return
        self.clicks += 1
        self._requests.send(PromptRequest(shown, segment, timeline, timeline.add(prompts)))

    def _edited(self, prompts: PromptSet, shown: Shown, edit: Edit) -> PromptSet:
        if edit.world is None:
            return prompts.without(edit.kind, edit.key)
        kind = PROMPT_KINDS[edit.kind]
        if kind.gesture == CLICK:
            value = self._scene.voxel(shown, edit.world)
        else:
            value = kind.read(self._scene.stroke_path(shown, edit.world, edit.width))
        return prompts.with_prompt(edit.kind, value, edit.key, edit.positive)

    def painted(self, shown: Shown, segment: str) -> None:
        """Somebody painted; it can be undone like a prompt, where prompts were given before.

        Raises:
            SceneError: the segment or its mask cannot be reached.
        """
        if self.timeline(shown, segment) is not None:
            self._synced(shown, segment)

    def refine(self, shown: Shown, segment: str) -> None:
        """Ask with what the segment holds now as the mask to refine.

        Prompts that it contradicts are removed: a person who paints means it.

        Raises:
            PromptsError: the segment is empty there.
            SceneError: the segment or its mask cannot be reached.
        """
        held = self._scene.read(segment, shown)
        if not held.any():
            raise PromptsError("The segment is empty here. Paint something, or place a prompt.")
        timeline = self._synced(shown, segment)
        prompts = self.prompts(shown, segment).agreeing(held)
        timeline.trust()
        self._keep(shown, segment, prompts)
        self.clicks += 1
        self._requests.send(PromptRequest(shown, segment, timeline, timeline.add(prompts)))

    def clear(self, shown: Shown, segment: str) -> None:
        """Take all prompts back, and the mask of this picture."""
        timeline = self._synced(shown, segment)
        self._requests.drop(lambda request: request.timeline is timeline)
        empty = np.zeros(shown.shape, bool)
        if not timeline.now.prompts and not self._scene.read(segment, shown).any():
            return
        self._keep(shown, segment, PromptSet(shown.size, shown.plane))
        timeline.add(PromptSet(shown.size, shown.plane), empty)
        self._write(shown, segment, timeline, empty)

    def undo(self, shown: Shown, segment: str) -> None:
        """Back to the prompts and the mask before the last edit, which may have been painting."""
        timeline = self._synced(shown, segment)
        self._go(shown, segment, timeline, timeline.undo)

    def redo(self, shown: Shown, segment: str) -> None:
        """Forward to what was undone."""
        timeline = self._synced(shown, segment)
        self._go(shown, segment, timeline, timeline.redo)

    def cancel(self) -> None:
        """Take back the prompts that have no answer yet."""
        for request in self._requests.drop(lambda request: True):
            if request.moment in request.timeline:
                moment = request.timeline.back_to_answered()
                self._keep(request.shown, request.segment, moment.prompts)

    def answered(self, request: PromptRequest, answer: Answer) -> None:
        """Take an answer: into the segment, and into what can be undone.

        Raises:
            SceneError: the segment or its mask cannot be reached any more.
        """
        # What was painted while the answer was awaited comes back by undo.
        request.timeline.sync(self._scene.read(request.segment, request.shown))
        request.moment.settle(answer)
        self._write(request.shown, request.segment, request.timeline, answer.mask)

    def take(self, shown: Shown, segment: str, answer: Answer) -> None:
        """Take a mask that came without prompts.

        Raises:
            SceneError: the segment or its mask cannot be reached.
        """
        timeline = self._synced(shown, segment)
        empty = PromptSet(shown.size, shown.plane)
        timeline.add(empty).settle(answer)
        self._keep(shown, segment, empty)
        self._write(shown, segment, timeline, answer.mask)

    def forget_segment(self, segment: str) -> None:
        """A segment was removed."""
        self._requests.drop(lambda request: request.segment == segment)
        self._book.forget_segment(segment)
        self._loaded.discard(segment)
        self._timelines = {key: line for key, line in self._timelines.items() if key[1] != segment}

    def forget(self) -> None:
        """The image was closed; what was said is kept with its segments."""
        self._requests.drop(lambda request: True)
        self._book, self.clicks = PromptBook(), 0
        self._loaded.clear()
        self._timelines.clear()

    def _go(self, shown: Shown, segment: str, timeline: Timeline, step: Callable[[], Moment]) -> None:
        self._requests.drop(lambda request: request.timeline is timeline)
        moment = step()
        self._keep(shown, segment, moment.prompts)
        self._write(shown, segment, timeline, timeline.newest_mask())
        if moment.mask is None:  # its answer never came
            self._requests.send(PromptRequest(shown, segment, timeline, moment))

    def _synced(self, shown: Shown, segment: str) -> Timeline:
        """The timeline of a segment on a picture, which knows what the segment holds there now."""
        held = self._scene.read(segment, shown)
        key = (place_of(shown), segment)
        if key not in self._timelines:
            self._timelines[key] = Timeline(self.prompts(shown, segment), held)
        self._timelines[key].sync(held)
        return self._timelines[key]

    def _write(self, shown: Shown, segment: str, timeline: Timeline, mask: np.ndarray) -> None:
        self._scene.write(segment, shown, mask)
        # In an oblique view the segment's voxels hold not quite the mask that was written.
        timeline.written(self._scene.read(segment, shown) if shown.oblique else mask)

    def _keep(self, shown: Shown, segment: str, prompts: PromptSet) -> None:
        self._load(segment)
        self._book.put(shown.key, segment, prompts)
        self._scene.save_prompts(segment, self._book.to_tag(segment))

    def _load(self, segment: str) -> None:
        """Take what is kept with a segment in the scene, once."""
        if segment in self._loaded:
            return
        self._loaded.add(segment)
        try:
            text = self._scene.load_prompts(segment)
            if text:
                self._book.from_tag(segment, text)
        except UniUltraLibError as error:
            self._tell(Problem.of(error))
