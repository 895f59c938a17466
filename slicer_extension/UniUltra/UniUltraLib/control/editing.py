"""Prompts and masks of every segment and picture: an edit asks, can be undone, is kept with its segment."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Dict, Optional, Set, Tuple

import numpy as np

from ..errors import PromptsError, UniUltraLibError
from ..prompts.history import Moment, Timeline
from ..prompts.prompt_set import PromptBook, PromptSet, Scribble
from ..prompts.shown import Shown
from ..wire.client import Answer
from .requests import Asked, Asking
from .scene_protocol import Place, SceneSide, place_of
from .state import Problem

Edit = Callable[[PromptSet], PromptSet]


class Editing:
    """What was said about the open image, and what came of it.

    Args:
        scene: where masks are read and written.
        told: called with a problem.
    """

    def __init__(self, scene: SceneSide, told: Callable[[Problem], None]) -> None:
        self._scene, self._told = scene, told
        self.asking: Asking
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

    def say(self, shown: Shown, segment: str, edit: Edit) -> None:
        """Change the prompts of a segment on a picture; the mask follows.

        Raises:
            PromptsError: the edit makes no sense; nothing is changed.
            SceneError: the segment or its mask cannot be reached.
        """
        prompts = edit(self.prompts(shown, segment))
        timeline = self._look(shown, segment)
        if prompts == timeline.now.prompts:
            return
        base = timeline.base_for(prompts)
        self._keep(shown, segment, prompts)
        if not prompts or (base is not None and base.prompts == prompts and base is not timeline.now):
            # Nothing is left to ask, or the answer is known: what was there before, if that is known.
            held = base.mask.array() if base and base.mask else self._scene.read(segment, shown)
            self.asking.drop(lambda asked: asked.timeline is timeline)
            moment = timeline.say(prompts, held)
            moment.answer = base.answer if base else None
            self._write(shown, segment, timeline, held)
            return
        self.clicks += 1
        self.asking.ask(Asked(shown, segment, timeline, timeline.say(prompts)))

    def painted(self, shown: Shown, segment: str) -> None:
        """Somebody painted; it can be undone like a prompt, where prompts were given before.

        Raises:
            SceneError: the segment or its mask cannot be reached.
        """
        if self.timeline(shown, segment) is not None:
            self._look(shown, segment)

    def refine(self, shown: Shown, segment: str) -> None:
        """Ask with what the segment holds now as the mask to refine.

        Prompts that it contradicts are taken back: a person who paints means it.

        Raises:
            PromptsError: the segment is empty there.
            SceneError: the segment or its mask cannot be reached.
        """
        held = self._scene.read(segment, shown)
        if not held.any():
            raise PromptsError("The segment is empty here. Paint something, or place a prompt.")
        timeline = self._look(shown, segment)
        prompts = agreeing(self.prompts(shown, segment), held)
        timeline.trust()
        self._keep(shown, segment, prompts)
        self.clicks += 1
        self.asking.ask(Asked(shown, segment, timeline, timeline.say(prompts)))

    def clear(self, shown: Shown, segment: str) -> None:
        """Take all prompts back, and the mask of this picture."""
        timeline = self._look(shown, segment)
        self.asking.drop(lambda asked: asked.timeline is timeline)
        empty = np.zeros(shown.shape, bool)
        if not timeline.now.prompts and not self._scene.read(segment, shown).any():
            return
        self._keep(shown, segment, PromptSet(shown.size, shown.plane))
        timeline.say(PromptSet(shown.size, shown.plane), empty)
        self._write(shown, segment, timeline, empty)

    def undo(self, shown: Shown, segment: str) -> None:
        """Back to the prompts and the mask before the last edit, which may have been painting."""
        timeline = self._look(shown, segment)
        self._go(shown, segment, timeline, timeline.undo)

    def redo(self, shown: Shown, segment: str) -> None:
        """Forward to what was undone."""
        timeline = self._look(shown, segment)
        self._go(shown, segment, timeline, timeline.redo)

    def cancel(self) -> None:
        """Take back the prompts that have no answer yet."""
        for asked in self.asking.drop(lambda asked: True):
            if asked.moment in asked.timeline:
                moment = asked.timeline.back_to_known()
                self._keep(asked.shown, asked.segment, moment.prompts)

    def answered(self, asked: Asked, answer: Answer) -> None:
        """Take an answer: into the segment, and into what can be undone.

        Raises:
            SceneError: the segment or its mask cannot be reached any more.
        """
        held = self._scene.read(asked.segment, asked.shown)
        # What was painted while the answer was awaited comes back by undo.
        asked.timeline.look(held)
        asked.moment.settle(answer)
        self._write(asked.shown, asked.segment, asked.timeline, answer.mask)

    def take(self, shown: Shown, segment: str, answer: Answer) -> None:
        """Take a mask that nobody prompted for.

        Raises:
            SceneError: the segment or its mask cannot be reached.
        """
        timeline = self._look(shown, segment)
        empty = PromptSet(shown.size, shown.plane)
        timeline.say(empty).settle(answer)
        self._keep(shown, segment, empty)
        self._write(shown, segment, timeline, answer.mask)

    def forget_segment(self, segment: str) -> None:
        """A segment was removed."""
        self.asking.drop(lambda asked: asked.segment == segment)
        self._book.forget_segment(segment)
        self._loaded.discard(segment)
        self._timelines = {key: line for key, line in self._timelines.items() if key[1] != segment}

    def forget(self) -> None:
        """The image was closed; what was said is kept with its segments."""
        self.asking.drop(lambda asked: True)
        self._book, self.clicks = PromptBook(), 0
        self._loaded.clear()
        self._timelines.clear()

    def _go(self, shown: Shown, segment: str, timeline: Timeline, step: Callable[[], Moment]) -> None:
        self.asking.drop(lambda asked: asked.timeline is timeline)
        moment = step()
        self._keep(shown, segment, moment.prompts)
        self._write(shown, segment, timeline, timeline.known_mask())
        if moment.mask is None:  # its answer never came
            self.asking.ask(Asked(shown, segment, timeline, moment))

    def _look(self, shown: Shown, segment: str) -> Timeline:
        """The timeline of a segment on a picture, which knows what the segment holds there now."""
        held = self._scene.read(segment, shown)
        key = (place_of(shown), segment)
        if key not in self._timelines:
            self._timelines[key] = Timeline(self.prompts(shown, segment), held)
        self._timelines[key].look(held)
        return self._timelines[key]

    def _write(self, shown: Shown, segment: str, timeline: Timeline, mask: np.ndarray) -> None:
        self._scene.write(segment, shown, mask)
        timeline.wrote(self._scene.read(segment, shown))

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
            self._told(Problem.of(error))


def agreeing(prompts: PromptSet, mask: np.ndarray) -> PromptSet:
    """The prompts without those that a mask (rows, columns) contradicts: points and scribbles on its wrong
    side, a box or lasso that does not hold it.
    """

    def right(pixels: np.ndarray, positive: bool) -> bool:
        return bool((mask[pixels] == positive).all())

    def on_its_side(scribble: Scribble) -> bool:
        return right(prompts.scribble_pixels(scribble.key), scribble.positive)

    points = []
    for point in prompts.points:
        x, y = (int(n) for n in prompts.plane.to_xy(point.ijk))
        if mask[y, x] == point.positive:
            points.append(point)
    box = prompts.box
    if box is not None:
        inside = np.zeros(mask.shape, bool)
        inside[box[1] : box[3] + 1, box[0] : box[2] + 1] = True
        box = box if not (mask & ~inside).any() else None
    scribbles = tuple(scribble for scribble in prompts.scribbles if on_its_side(scribble))
    return replace(prompts, points=tuple(points), box=box, scribbles=scribbles, lasso=None)
