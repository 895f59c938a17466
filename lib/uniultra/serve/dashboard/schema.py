"""The JSON that the campaign page draws, `GET /campaign/data`: see `Page`."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import BaseModel, ConfigDict

from uniultra.store.progress import AnnotatorProgress, LabelDay, LabelEffort, UnitCounts
from uniultra.store.review.pooling import PooledAgreement


class _PagePart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CampaignStructure(_PagePart):
    """A structure of the campaign; `color` is `#rrggbb`."""

    name: str
    color: str


class CampaignHead(_PagePart):
    """What is labelled, and by how many."""

    name: str
    structures: tuple[CampaignStructure, ...]
    readers: int


class Notice(_PagePart):
    """Something to know before all else: what is so, and what to do."""

    level: Literal["problem", "warning"]
    text: str
    action: str


class Adapter(_PagePart):
    """A training's result and what the gate said, or a change by hand.

    Attributes:
        id: of the bundle; None where nothing was published, or for a model's own weights.
        when: UTC.
        what: what happened.
        dice, box: mean Dice after one click and of a box, on labels it had not seen; before: that of one
            click of what answered then, on the same labels.
        gain, low, high: mean over click and box, and its 95 % interval.
        known: the largest loss on what was known before, negative for a loss.
        labels: it was trained on; measured: structures it was measured on; rule: how.
        why: the gate's words.
        serving: answers clicks now.
    """

    id: str | None
    model: str
    when: dt.datetime
    what: Literal["published", "refused", "rolled back", "imported"]
    dice: float | None = None
    box: float | None = None
    before: float | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    known: float | None = None
    labels: int | None = None
    measured: int | None = None
    rule: Literal["folds", "held_out"] | None = None
    why: str = ""
    serving: bool = False


class CampaignAgreement(PooledAgreement):
    """Agreement between annotators; `waiting` images have not been compared yet."""

    waiting: int


class CurvePoint(_PagePart):
    """One point of a training's curve; `dice` is that of the folds so far."""

    epoch: int
    loss: float | None
    dice: float | None


class Training(_PagePart):
    """The training that runs, or the last one.

    Attributes:
        state: `none` where there never was one.
        started, ended: UTC.
        phase: in the training's words.
        left_s: seconds it expects to need.
        labels: it trains on.
        message: the gate's words or the error.
        missing: new labels until the next one starts by itself, None where it never does.
    """

    state: Literal["none", "running", "waiting", "published", "refused", "stopped", "failed"]
    model: str | None = None
    started: dt.datetime | None = None
    ended: dt.datetime | None = None
    phase: str = ""
    epoch: int | None = None
    epochs: int | None = None
    loss: float | None = None
    dice: float | None = None
    left_s: float | None = None
    labels: int | None = None
    message: str = ""
    curve: tuple[CurvePoint, ...] = ()
    missing: int | None = None


class Next(_PagePart):
    """One of the units that come next; `score` is what the strategy ranks by, None while it is not known."""

    image: str
    frame: int
    score: float | None


class Queue(_PagePart):
    """What comes next under the strategy in use; `meaning` says what the scores are, `scored` of `total`."""

    strategy: str
    description: str
    meaning: str
    units: tuple[Next, ...]
    scored: int
    total: int


class Page(_PagePart):
    """All of it; `days`, `efforts` and `adapters` in order of time."""

    schema_version: Literal[1] = 1
    today: dt.date
    campaign: CampaignHead
    notices: tuple[Notice, ...]
    progress: UnitCounts
    annotators: tuple[AnnotatorProgress, ...]
    days: tuple[LabelDay, ...]
    efforts: tuple[LabelEffort, ...]
    adapters: tuple[Adapter, ...]
    agreement: CampaignAgreement
    training: Training
    queue: Queue
