"""The state of the campaign, review and training sections: immutable values, replaced at every change.

Problems and notices are shown through the controller, like all others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Tuple

from ..wire.campaign_calls import Unit
from ..wire.campaign_types import Agreement, Campaign, ToReview, Training, Version


@dataclass(frozen=True)
class LabelConflict:
    """A label of the annotator was not saved, because a newer version exists.

    The label is kept until the annotator decides: see the newer version, save theirs on top of it, or discard
    theirs.

    Attributes:
        key: of the annotator's label.
        revision, annotator, made: of the newer version.
        tag: of both.
        here: their image is open.
    """

    key: str
    revision: int
    annotator: str = ""
    made: str = ""
    tag: str = "final"
    here: bool = True


@dataclass(frozen=True)
class CampaignState:
    """What the campaign section shows.

    Attributes:
        campaign: the server's campaign; empty without one.
        offered: the server has a campaign; else the section is hidden.
        name_problem: why no label can be saved under the annotator's name; empty if it can.
        name_warning: why the name may be shared by several people; else empty.
        strategies: names of the query strategies, the campaign's default first.
        strategy: the chosen strategy.
        unit: the open unit; None if no image of the campaign is open.
        position: such as "frame 12 of 40"; empty for a still or a volume.
        leased: the unit is leased to this annotator.
        lease_ended: the lease has ended, so another annotator may get the unit too.
        opening: an image is being fetched.
        nothing_left: the server has no more units for this annotator.
        resumed: the version that was restored when the image was opened: a draft, a final version, or one
            that a reviewer returned, with `resumed.comment`.
        proposals: versions made by models, which can be loaded and corrected.
        submitted: the label was submitted; it may have been edited since.
        saved: its revision; None while it waits to be sent.
        unsent: how many labels wait to be sent.
        conflict: a conflict that needs a decision; None without one.
        compared: other versions are shown as additional segments.
        can_next, can_submit, can_skip: whether these buttons are enabled.
        seconds, clicks: effort spent on this image, as of the last change.
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
    """What the review section shows.

    Attributes:
        offered: the server offers reviews, and has not refused this person access to them.
        states: the states that are listed.
        items: the labels in these states.
        counts: number of labels of each state.
        item: the open label; None without one.
        version: that label's version, with its annotator, comments and how it was made.
        agreement: between the readers of the open image, by structure; None until requested.
        busy: a call is under way.
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
    """What the training section shows.

    Attributes:
        offered: the server has a trainer.
        models: names of the models that it trains.
        model: the chosen model.
        training: the newest training, with `curve`, `progress`, `state` and `message`.
        adapter: ID of the adapter that answers for that training's model; None for the model's own weights.
        new_adapter: the adapter was published since the person connected or last confirmed one (`seen`).
        can_start, can_stop: whether these buttons are enabled.
    """

    offered: bool = False
    models: Tuple[str, ...] = ()
    model: str = ""
    training: Training = field(default_factory=Training)
    adapter: Optional[str] = None
    new_adapter: bool = False
    can_start: bool = False
    can_stop: bool = False
