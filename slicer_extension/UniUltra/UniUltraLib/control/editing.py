"""Edits of prompts for every segment and picture: stored with the segment, sent, undone with their masks."""

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
    """The prompts on the open image, and the masks predicted from them.

    Args:
        scene: where masks are read and written.
        requests: sends prompts to the server.
        tell: called with a problem.

    Attributes:
        clicks: prompts placed since the image was opened.
    """

    def __init__(self, scene: SceneSide, requests: PromptRequests, tell: Callable[[Problem], None]) -> None:
        self._scene, self._requests, self._tell = scene, requests, tell
        self._book = PromptBook()
        self._timelines: Dict[Tuple[Place, str], Timeline] = {}
        self._loaded: Set[str] = set()
        self.clicks = 0

    def prompts(self, shown: Shown, segment: str) -> PromptSet:
        """The prompts of a segment on a picture; empty if those stored are of an image of another size."""
        self._load(segment)
        try:
            return self._book.get(shown.key, shown.plane, segment, shown.size)
        except PromptsError:
            return PromptSet(shown.size, shown.plane)

    def timeline(self, shown: Shown, segment: str) -> Optional[Timeline]:
        """The undo history of a segment on a picture; None before the first edit."""
        return self._timelines.get((place_of(shown), segment))

    def edit(self, shown: Shown, segment: str, edit: Edit) -> None:
        """Change the prompts of a segment on a picture, and ask for the new mask.

        Reading a mask is slow, so it is read once here, for undo, and once more when the answer comes.

        Raises:
            PromptsError: the edit is invalid; nothing is changed.
            SceneError: the segment or its mask cannot be accessed.
        """
        prompts = self._edited(self.prompts(shown, segment), shown, edit)
        timeline = self._synced(shown, segment)
        if prompts == timeline.now.prompts:
            return
        base = timeline.base_for(prompts)
        self._keep(shown, segment, prompts)
        if not prompts or (base is not None and base.prompts == prompts and base is not timeline.now):
            # No prompt is left, or these prompts were answered before: put back the earlier mask, if any.
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
        """A person painted: make it a step that can be undone, if the segment has prompts on the picture.

        Raises:
            SceneError: the segment or its mask cannot be accessed.
        """
        if self.timeline(shown, segment) is not None:
            self._synced(shown, segment)

    def refine(self, shown: Shown, segment: str) -> None:
        """Ask the model to refine the segment's present mask.

        Prompts that contradict the mask are removed, because painting is the more deliberate edit.

        Raises:
            PromptsError: the segment is empty on the picture.
            SceneError: the segment or its mask cannot be accessed.
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
        """Remove all prompts and the mask of a segment on a picture."""
        timeline = self._synced(shown, segment)
        self._requests.drop(lambda request: request.timeline is timeline)
        if not timeline.now.prompts and not self._scene.read(segment, shown).any():
            return
        no_prompts, no_mask = PromptSet(shown.size, shown.plane), np.zeros(shown.shape, bool)
        self._keep(shown, segment, no_prompts)
        timeline.add(no_prompts, no_mask)
        self._write(shown, segment, timeline, no_mask)

    def undo(self, shown: Shown, segment: str) -> None:
        """Go back to the prompts and the mask before the last edit, which may have been painting."""
        self._step(shown, segment, Timeline.undo)

    def redo(self, shown: Shown, segment: str) -> None:
        """Redo the edit that was undone last."""
        self._step(shown, segment, Timeline.redo)

    def cancel(self) -> None:
        """Remove the prompts that have no answer yet."""
        for request in self._requests.drop(lambda request: True):
            if request.moment in request.timeline:
                moment = request.timeline.back_to_answered()
                self._keep(request.shown, request.segment, moment.prompts)

    def answered(self, request: PromptRequest, answer: Answer) -> None:
        """Write the mask of an answer into the segment, and add it to the undo history.

        Raises:
            SceneError: the segment or its mask cannot be accessed any more.
        """
        # What was painted while the answer was awaited becomes a step of its own, to be restored by undo.
        request.timeline.sync(self._scene.read(request.segment, request.shown))
        request.moment.settle(answer)
        self._write(request.shown, request.segment, request.timeline, answer.mask)

    def take(self, shown: Shown, segment: str, answer: Answer) -> None:
        """Write the mask of a fully automatic model into the segment; prompts on the picture are removed.

        Raises:
            SceneError: the segment or its mask cannot be accessed.
        """
        timeline = self._synced(shown, segment)
        empty = PromptSet(shown.size, shown.plane)
        timeline.add(empty).settle(answer)
        self._keep(shown, segment, empty)
        self._write(shown, segment, timeline, answer.mask)

    def forget_segment(self, segment: str) -> None:
        """A segment was removed: drop its requests, prompts and undo history."""
        self._requests.drop(lambda request: request.segment == segment)
        self._book.forget_segment(segment)
        self._loaded.discard(segment)
        self._timelines = {key: line for key, line in self._timelines.items() if key[1] != segment}

    def forget(self) -> None:
        """The image was closed; its prompts stay stored with the segments."""
        self._requests.drop(lambda request: True)
        self._book, self.clicks = PromptBook(), 0
        self._loaded.clear()
        self._timelines.clear()

    def _step(self, shown: Shown, segment: str, step: Callable[[Timeline], Moment]) -> None:
        timeline = self._synced(shown, segment)
        self._requests.drop(lambda request: request.timeline is timeline)
        moment = step(timeline)
        self._keep(shown, segment, moment.prompts)
        self._write(shown, segment, timeline, timeline.newest_mask())
        if moment.mask is None:  # its answer was dropped
            self._requests.send(PromptRequest(shown, segment, timeline, moment))

    def _synced(self, shown: Shown, segment: str) -> Timeline:
        """The undo history of a segment on a picture, updated with the segment's present mask."""
        held = self._scene.read(segment, shown)
        key = (place_of(shown), segment)
        if key not in self._timelines:
            self._timelines[key] = Timeline(self.prompts(shown, segment), held)
        self._timelines[key].sync(held)
        return self._timelines[key]

    def _write(self, shown: Shown, segment: str, timeline: Timeline, mask: np.ndarray) -> None:
        self._scene.write(segment, shown, mask)
        # In an oblique view, resampling into voxels changes the mask slightly, so it is read back.
        timeline.written(self._scene.read(segment, shown) if shown.oblique else mask)

    def _keep(self, shown: Shown, segment: str, prompts: PromptSet) -> None:
        self._load(segment)
        self._book.put(shown.key, segment, prompts)
        self._scene.save_prompts(segment, self._book.to_tag(segment))

    def _load(self, segment: str) -> None:
        """Load the prompts that are stored with a segment, once."""
        if segment in self._loaded:
            return
        self._loaded.add(segment)
        try:
            text = self._scene.load_prompts(segment)
            if text:
                self._book.from_tag(segment, text)
        except UniUltraLibError as error:
            self._tell(Problem.of(error))
