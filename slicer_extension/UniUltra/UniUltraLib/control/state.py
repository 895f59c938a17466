"""What the panel shows: one value that never changes, and a new one when something did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, FrozenSet, Mapping, Optional, Tuple

from ..errors import ServerError
from ..prompts.kinds import MASK
from ..prompts.prompt_set import PromptSet
from ..prompts.shown import SegmentInfo, Shown

OFFLINE, CONNECTING, ONLINE, LOST = "offline", "connecting", "online", "lost"
# In `State.tools` beside the kinds of prompts: refine what was painted, segment without prompts.
REFINE, AUTO = MASK, "auto"


@dataclass(frozen=True)
class Problem:
    """What went wrong; `address` is the server's, empty when the server has no part in it."""

    address: str
    cause: str
    next_step: str

    @classmethod
    def of(cls, error: Exception) -> Problem:
        """The problem that an error of this package tells of."""
        if isinstance(error, ServerError):
            return cls(error.address, error.cause, error.next_step)
        return cls("", str(error), "")

    def __str__(self) -> str:
        where = f"{self.address}: " if self.address else ""
        return f"{where}{self.cause} {self.next_step}".strip()


@dataclass(frozen=True)
class Consent:
    """The question before an image of one's own is sent: `controller.consent(...)` answers it.

    `address` is where it would go, `warning` says why its pixels may name the patient, if they may.
    """

    address: str
    warning: Optional[str] = None


@dataclass(frozen=True)
class State:
    """All that the widget binds to.

    Attributes:
        connection: `offline`, `connecting`, `online`, or `lost` (it tries again by itself).
        address, annotator: as connected, or as kept from the last time.
        problem: what the person should know and do; None when all is well.
        notice: an event worth a line in the status bar, such as the answer of `test_connection`.
        busy: something takes longer than a moment; `busy_text` says what. `can_cancel` is true at once.
        progress: of what is under way, 0..1; None when unknown.
        models: those that take prompts; auto_models: those that take none.
        model, auto_model: the chosen ones.
        strategies: how the next image may be chosen, the first being the campaign's default.
        tools: the kinds of prompts, REFINE and AUTO, as far as they work with the model and image now.
        info: the server's whole `/info/`, {} while offline.
        shown: what the person looks at.
        segments, segment: all of them, and the id of the chosen one.
        prompts: of the chosen segment on the shown plane; `has_prompts` when there are any.
        waiting: a prompt has no answer yet: it is asked, or cannot be.
        can_undo, can_redo: on the shown plane, of the chosen segment.
        score, adapter, answered_by: of the newest answer there: the model's own estimate (0..1), which
            published adapter answered (None: the model's own weights), and which model.
        done: the shown frame (still, volume) is marked done; done_frames: all that are.
        clicks: prompts given since the image was opened; they are recorded with the label.
        needs_consent: an image of one's own is to be sent, and the person has not agreed yet.
    """

    connection: str = OFFLINE
    address: str = ""
    annotator: str = ""
    problem: Optional[Problem] = None
    notice: str = ""
    busy: bool = False
    busy_text: str = ""
    progress: Optional[float] = None
    can_cancel: bool = False
    models: Tuple[str, ...] = ()
    auto_models: Tuple[str, ...] = ()
    model: Optional[str] = None
    auto_model: Optional[str] = None
    strategies: Tuple[str, ...] = ()
    tools: FrozenSet[str] = frozenset()
    info: Mapping[str, Any] = field(default_factory=dict)
    shown: Optional[Shown] = None
    segments: Tuple[SegmentInfo, ...] = ()
    segment: Optional[str] = None
    prompts: Optional[PromptSet] = None
    waiting: bool = False
    can_undo: bool = False
    can_redo: bool = False
    score: Optional[float] = None
    adapter: Optional[str] = None
    answered_by: Optional[str] = None
    done: bool = False
    done_frames: FrozenSet[int] = frozenset()
    clicks: int = 0
    needs_consent: Optional[Consent] = None

    @property
    def has_prompts(self) -> bool:
        """Whether the chosen segment has prompts on the shown plane."""
        return bool(self.prompts)
