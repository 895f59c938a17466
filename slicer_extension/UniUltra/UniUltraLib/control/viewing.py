"""What the scene shows (picture, segments, prompts), and the panel's state composed from it."""

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
from .state import AUTO, LOST, ONLINE, State
from .worker import Ticket

# Calls that take less than this are not shown as busy.
BUSY_AFTER_S = 0.4


class Viewing:
    """What the scene showed when it was read last, and the chosen segment.

    The scene is read at every event, and before every action of the person, because changed voxels cause no
    event. It is not read after an action or an answer, which change prompts and masks, but never the view.
    """

    def __init__(self, scene: SceneSide, editing: Editing, link: Link) -> None:
        self._scene, self._editing, self._link = scene, editing, link
        self.shown: Optional[Shown] = None
        self.segments: Tuple[SegmentInfo, ...] = ()
        self.segment: Optional[str] = None
        self._done: FrozenSet[int] = frozenset()

    def read_scene(self) -> None:
        """Read the shown picture and the segments; the chosen segment stays chosen while it exists."""
        self.segments, self._done = (), frozenset()
        try:
            self.shown = self._scene.shown()
            if self.shown is not None:
                self.segments = tuple(self._scene.segments())
                self._done = frozenset(self._scene.done_frames())
        except UniUltraLibError:
            self.shown, self.segments = None, ()
        ids = [segment.id for segment in self.segments]
        if self.segment not in ids and self.shown is not None:
            self.segment = next(iter(ids), None)

    @property
    def prompts(self) -> Optional[PromptSet]:
        """The prompts of the chosen segment on the shown picture; None without a segment or picture."""
        if self.shown is None or self.segment is None:
            return None
        return self._editing.prompts(self.shown, self.segment)

    def add_segment(self, name: str = "", colour: Optional[Sequence[float]] = None) -> str:
        """Add a segment and choose it; without a name, it is the campaign's next structure.

        Raises:
            SceneError: no image is open.
        """
        taken = {segment.name for segment in self._scene.segments()}
        labels = Campaign.of(self._link.offers.info).labels
        if not name:
            numbered = (f"Segment {n}" for n in range(1, len(taken) + 2))
            names = (*(label.name for label in labels), *numbered)
            name = next(free for free in names if free not in taken)
        of_campaign = next((label.colour for label in labels if label.name == name), None)
        self.segment = self._scene.add_segment(name, colour or of_campaign)
        return self.segment

    def state(
        self, tickets: Sequence[Ticket], waiting: Mapping[Any, Any], model: Optional[str], **decided: Any
    ) -> State:
        """The panel's state; `decided` are the fields that the controller sets."""
        offers, shown, segment = self._link.offers, self.shown, self.segment
        now = time.monotonic()
        slow = [ticket for ticket in tickets if now - ticket.since > BUSY_AFTER_S]
        timeline = answer = None
        if shown is not None and segment is not None:
            timeline = self._editing.timeline(shown, segment)
            answer = timeline.now.answer if timeline is not None else None
        return State(
            connection=self._link.connection,
            busy=bool(slow),
            busy_text=slow[0].what if slow else "",
            progress=slow[0].progress if slow else None,
            can_cancel=bool(tickets) or bool(waiting),
            models=offers.models,
            auto_models=offers.auto_models,
            model=model,
            strategies=offers.strategies,
            tools=self._tools(model),
            info=offers.info,
            shown=shown,
            segments=self.segments,
            segment=segment,
            waiting=shown is not None and (place_of(shown), segment) in waiting,
            can_undo=timeline is not None and timeline.can_undo,
            can_redo=timeline is not None and timeline.can_redo,
            score=answer.score if answer else None,
            adapter=answer.adapter if answer else None,
            answered_by=answer.model if answer else None,
            done=shown is not None and (shown.frame or 0) in self._done,
            done_frames=self._done,
            clicks=self._editing.clicks,
            **decided,
        )

    def _tools(self, model: Optional[str]) -> FrozenSet[str]:
        offers = self._link.offers
        if self.shown is None or self._link.connection not in (ONLINE, LOST):
            return frozenset()
        tools = offers.kinds.get(model, frozenset()) if model else frozenset()
        return tools | {AUTO} if offers.auto_models else tools
