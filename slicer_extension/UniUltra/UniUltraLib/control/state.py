"""The panel's state: an immutable value that is replaced at every change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, FrozenSet, Mapping, Optional, Tuple

from ..errors import ServerError
from ..prompts.kinds import MASK
from ..prompts.prompt_set import PromptSet
from ..prompts.shown import SegmentInfo, Shown

OFFLINE, CONNECTING, ONLINE, LOST = "offline", "connecting", "online", "lost"
# Entries of `State.tools` other than kinds of prompts: refine the mask, segment fully automatically.
REFINE, AUTO = MASK, "auto"


@dataclass(frozen=True)
class Problem:
    """A problem to show: its cause, what to do next, and the server's address (empty if none is involved)."""

    address: str
    cause: str
    next_step: str

    @classmethod
    def of(cls, error: Exception) -> Problem:
        """The problem that an error of this package describes."""
        if isinstance(error, ServerError):
            return cls(error.address, error.cause, error.next_step)
        return cls("", str(error), "")

    def __str__(self) -> str:
        where = f"{self.address}: " if self.address else ""
        return f"{where}{self.cause} {self.next_step}".strip()


@dataclass(frozen=True)
class Consent:
    """The question before an image that is not in the campaign is uploaded; `Controller.consent` answers it.

    Attributes:
        address: the server that would get the image.
        warning: why its pixels may identify the patient; None without a reason.
    """

    address: str
    warning: Optional[str] = None


@dataclass(frozen=True)
class State:
    """What the panel shows.

    Attributes:
        connection: `offline`, `connecting`, `online`, or `lost` (the panel tries to reconnect).
        address, annotator: of the connection, or of the last one.
        problem: what went wrong and what to do; None without a problem.
        notice: a line for the status bar, such as the result of `test_connection`.
        busy: a call takes longer than `viewing.BUSY_AFTER_S`; `busy_text` says which.
        progress: of that call, 0..1; None if unknown.
        can_cancel: a call is under way, or a prompt waits.
        models: names of the interactive models.
        auto_models: names of the fully automatic models.
        model, auto_model: the chosen ones.
        strategies: names of the query strategies, the campaign's default first.
        tools: the kinds of prompts, REFINE and AUTO, if the model and the image support them.
        info: the server's whole `/info/`; empty while offline.
        shown: the shown picture; None without an image.
        segments: all segments.
        segment: ID of the chosen segment.
        prompts: of the chosen segment on the shown picture; `has_prompts` if there are any.
        waiting: prompts on the shown picture have no answer yet.
        can_undo, can_redo: for the chosen segment on the shown picture.
        score, adapter, answered_by: of the shown answer: the model's estimate of its quality (0..1), ID of
            the adapter (None for the model's own weights), name of the model.
        done: the shown frame is marked done; for a still or a volume, all of it.
        done_frames: all frames that are marked done.
        clicks: prompts placed since the image was opened; recorded with the label.
        needs_consent: the question before an upload; None if nothing is to be decided.
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
