"""What the campaign parts of the panel show: values that never change, and new ones when something did.

Problems and notices are told through the controller, like all others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Tuple

from ..wire.campaign_calls import Unit
from ..wire.campaign_types import Agreement, Campaign, ToReview, Training, Version


@dataclass(frozen=True)
class LabelConflict:
    """A label of mine was not saved, because a newer one stands.

    `mine` is kept until the person decides: look at the newer one, save mine on top of it, or give mine up.
    """

    key: str
    revision: int
    annotator: str = ""
    made: str = ""
    tag: str = "final"
    here: bool = True  # it is of the open image


@dataclass(frozen=True)
class CampaignState:
    """All that the widget binds to.

    Attributes:
        campaign: what the server says of it; an empty one while there is none. Its `labels` have colours and
            instructions of their own; `skip_reasons` are to choose from.
        offered: the server leads a campaign; without it, all of this is hidden.
        name_problem: why nothing can be saved under the annotator's name; name_warning: it looks shared.
        strategies: names, the campaign's own first; strategy: the chosen one.
        unit: what is worked on; None when no image of the campaign is open.
        position: in words, such as "frame 12 of 40"; empty where there is one.
        leased: it is this person's; lease_ended: it no longer is, and it may be given to someone else too.
        opening: the next image is on its way.
        nothing_left: the server has nothing more for this person.
        resumed: the version that was brought back when the image was opened: a draft, or one that a reviewer
            returned, with `resumed.comment`.
        proposals: versions that a model made, which can be loaded and corrected.
        submitted: what was submitted is what the scene holds, as far as we know.
        saved: the revision that it became; None while it waits to be sent.
        unsent: how many labels wait to be sent.
        conflict: one that needs a decision.
        compared: other versions are shown beside the own segments.
        can_next, can_submit, can_skip: whether these would do something now.
        seconds, clicks: of work on this image, as at the last change.
    """

    campaign: Campaign = field(default_factory=Campaign)
    offered: bool = False
    name_problem: str = ""
    name_warning: str = ""
    strategies: Tuple[str, ...] = ()
    strategy: str = ""
    unit: Optional[Unit] = None
    position: str = ""
    leased: bool = False
    lease_ended: bool = False
    opening: bool = False
    nothing_left: bool = False
    resumed: Optional[Version] = None
    proposals: Tuple[Version, ...] = ()
    submitted: bool = False
    saved: Optional[int] = None
    unsent: int = 0
    conflict: Optional[LabelConflict] = None
    compared: bool = False
    can_next: bool = False
    can_submit: bool = False
    can_skip: bool = False
    seconds: float = 0.0
    clicks: int = 0


@dataclass(frozen=True)
class ReviewState:
    """What the review part shows.

    Attributes:
        offered: the server has it, and has not refused it to this person.
        states: those that are listed; items: the labels; counts: how many there are of each state.
        item: the one that is open; version: with its annotator, comments and how it came about.
        agreement: between the readers of the open image, by structure; None before it was asked for.
        busy: something is on its way.
    """

    offered: bool = False
    states: Tuple[str, ...] = ("final",)
    items: Tuple[ToReview, ...] = ()
    counts: Tuple[Tuple[str, int], ...] = ()
    item: Optional[ToReview] = None
    version: Optional[Version] = None
    agreement: Optional[Tuple[Agreement, ...]] = None
    busy: bool = False


@dataclass(frozen=True)
class TrainingState:
    """What the training part shows.

    Attributes:
        offered: the server has a trainer; models: those that it trains; model: the chosen one.
        training: the newest one, with `curve`, `progress`, `state` and `message`.
        adapter: what answers for the chosen model now; None: its own weights.
        new_adapter: it came since the person connected or last looked (`seen`).
        can_start, can_stop: whether these would do something now.
    """

    offered: bool = False
    models: Tuple[str, ...] = ()
    model: str = ""
    training: Training = field(default_factory=Training)
    adapter: Optional[str] = None
    new_adapter: bool = False
    can_start: bool = False
    can_stop: bool = False
