"""What the person sees of the image: picture, segments, what was said there; and the state of it all."""

from __future__ import annotations

import time
from typing import Any, FrozenSet, Mapping, Optional, Sequence, Tuple

from ..errors import UniUltraLibError
from ..prompts.prompt_set import PromptSet
from ..prompts.shown import SegmentInfo, Shown
from ..wire.campaign_types import Campaign
from .connection import Link
from .editing import Editing
from .scene_protocol import SceneSide, place_of
from .state import AUTO, BOX, LASSO, LOST, ONLINE, POINT, REFINE, SCRIBBLE, State
from .worker import Ticket

# What takes less than this is not worth a word.
BUSY_AFTER_S = 0.4
COLOURS = ((0.90, 0.62, 0.0), (0.34, 0.71, 0.91), (0.0, 0.62, 0.45), (0.94, 0.89, 0.26), (0.80, 0.47, 0.65))
_TOOLS = {"point": POINT, "box": BOX, "scribble": SCRIBBLE, "lasso": LASSO, "mask": REFINE}


class Viewing:
    """Looks at the scene when something may have changed, and keeps what it saw until the next time."""

    def __init__(self, scene: SceneSide, editing: Editing, link: Link) -> None:
        self._scene, self._editing, self._link = scene, editing, link
        self.shown: Optional[Shown] = None
        self.segments: Tuple[SegmentInfo, ...] = ()
        self.segment: Optional[str] = None
        self.prompts: Optional[PromptSet] = None
        self._done: FrozenSet[int] = frozenset()

    def look(self) -> None:
        """See what is shown now; the chosen segment stays chosen while it is there."""
        try:
            self.shown = self._scene.shown()
            self.segments = tuple(self._scene.segments()) if self.shown is not None else ()
            self._done = frozenset(self._scene.done_frames()) if self.shown is not None else frozenset()
        except UniUltraLibError:
            self.shown, self.segments, self._done = None, (), frozenset()
        ids = [segment.id for segment in self.segments]
        if self.segment not in ids and self.shown is not None:
            self.segment = next(iter(ids), None)
        usable = self.shown is not None and self.segment is not None
        self.prompts = self._editing.prompts(self.shown, self.segment) if usable else None  # type: ignore[arg-type]

    def add_segment(self, name: str = "", colour: Optional[Sequence[float]] = None) -> str:
        """Add a segment and choose it: the campaign's next structure, where no name is given.

        Raises:
            SceneError: no image is open.
        """
        taken = {segment.name for segment in self._scene.segments()}
        labels = Campaign.of(self._link.offers.info).labels
        if not name:
            free = next((label for label in labels if label.name not in taken), None)
            numbered = (f"Segment {n}" for n in range(1, len(taken) + 2))
            name = free.name if free else next(one for one in numbered if one not in taken)
        known = next((label.colour for label in labels if label.name == name), None)
        self.segment = self._scene.add_segment(name, colour or known or COLOURS[len(taken) % len(COLOURS)])
        return self.segment

    def state(
        self, tickets: Sequence[Ticket], waiting: Mapping[Any, Any], model: Optional[str], **told: Any
    ) -> State:
        """All of it; `told` are the fields that are decided elsewhere."""
        offers, shown = self._link.offers, self.shown
        now = time.monotonic()
        slow = [ticket for ticket in tickets if now - ticket.since > BUSY_AFTER_S]
        usable = shown is not None and self.segment is not None
        line = self._editing.timeline(shown, self.segment) if usable else None  # type: ignore[arg-type]
        answer = line.now.answer if line is not None else None
        return State(
            connection=self._link.connection,
            busy=bool(slow),
            busy_text=slow[0].what if slow else "",
            progress=slow[0].progress if slow else None,
            can_cancel=bool(tickets) or bool(waiting),
            models=offers.models,
            auto_models=offers.auto_models,
            model=model,
            descriptions=offers.descriptions,
            unavailable=offers.unavailable,
            strategies=offers.strategies,
            tools=self._tools(model),
            info=offers.info,
            shown=shown,
            segments=self.segments,
            segment=self.segment,
            prompts=self.prompts,
            waiting=usable and (place_of(shown), self.segment) in waiting,  # type: ignore[arg-type]
            can_undo=line is not None and line.can_undo,
            can_redo=line is not None and line.can_redo,
            score=answer.score if answer else None,
            adapter=answer.adapter if answer else None,
            answered_by=answer.model if answer else None,
            done=shown is not None and (shown.frame or 0) in self._done,
            done_frames=self._done,
            clicks=self._editing.clicks,
            **told,
        )

    def _tools(self, model: Optional[str]) -> FrozenSet[str]:
        offers = self._link.offers
        if self.shown is None or self._link.connection not in (ONLINE, LOST):
            return frozenset()
        kinds = offers.kinds.get(model, frozenset()) if model else frozenset()
        tools = {_TOOLS[kind] for kind in kinds}
        return frozenset(tools | {AUTO} if offers.auto_models else tools)
