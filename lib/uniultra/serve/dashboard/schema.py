"""The JSON that the campaign page draws, `GET /campaign/data`: see `Page`."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Structure(_Part):
    """A structure of the campaign; `color` is `#rrggbb`."""

    name: str
    color: str


class Campaign(_Part):
    """What is labelled, and by how many."""

    name: str
    structures: tuple[Structure, ...]
    readers: int


class Notice(_Part):
    """Something to know before all else: what is so, and what to do."""

    level: Literal["problem", "warning"]
    text: str
    action: str


class Progress(_Part):
    """How far the campaign is, in units: a still or volume, or a frame of a cine that is handed out.

    Attributes:
        images, units: how many there are.
        labelled: units that are done; approved: those of them that a reviewer approved.
        leased: in somebody's hands now; started: neither, but some reader labelled it or left a draft, or
            it was returned; left: the others. `labelled + leased + started + left` is `units`.
        drafts, returned, flagged: units that hold a label of that state, counted beside the four above.
        skipped: units that are not done and that somebody passed over with a reason.
    """

    images: int
    units: int
    labelled: int
    approved: int
    leased: int
    started: int
    left: int
    drafts: int
    returned: int
    flagged: int
    skipped: int


class Annotator(_Part):
    """One person's work.

    Attributes:
        labelled: images whose newest version of this person counts; drafts, returned: those whose is one.
        today, week: images labelled today and in the last seven days, of the server's clock.
        leased: units in hand now, as the annotators see them.
        seconds, clicks: medians over the labels, None where no client said.
        last: when the newest version was saved, UTC.
    """

    name: str
    labelled: int
    drafts: int
    returned: int
    today: int
    week: int
    leased: tuple[str, ...]
    seconds: float | None
    clicks: float | None
    last: dt.datetime | None


class Day(_Part):
    """Images whose first final label of an annotator came on this day (of the server's clock)."""

    day: dt.date
    labels: dict[str, int]


class Effort(_Part):
    """What the first final label of an image cost an annotator.

    `adapter` proposed the mask; None: a model's own weights, or nobody.
    """

    made: dt.datetime
    image: str
    annotator: str
    seconds: float | None
    clicks: int | None
    adapter: str | None


class Adapter(_Part):
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


class Pair(_Part):
    """Two annotators on the images that both have labelled, one structure.

    Attributes:
        dice, hd95: medians over the images; HD95 in `unit`.
        worst, lowest: the image with the lowest Dice, and that Dice.
    """

    first: str
    second: str
    structure: str
    images: int
    dice: float
    hd95: float | None
    unit: str
    worst: str
    lowest: float


class Agreement(_Part):
    """Agreement between annotators; `waiting` images have not been compared yet."""

    pairs: tuple[Pair, ...]
    waiting: int


class CurvePoint(_Part):
    """One point of a training's curve; `dice` is that of the folds so far."""

    epoch: int
    loss: float | None
    dice: float | None


class Training(_Part):
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


class Next(_Part):
    """One of the units that come next; `score` is what the strategy ranks by, None while it is not known."""

    image: str
    frame: int
    score: float | None


class Queue(_Part):
    """What comes next under the strategy in use; `meaning` says what the scores are, `scored` of `total`."""

    strategy: str
    description: str
    meaning: str
    units: tuple[Next, ...]
    scored: int
    total: int


class Page(_Part):
    """All of it; `days`, `efforts` and `adapters` in order of time."""

    schema_version: Literal[1] = 1
    today: dt.date
    campaign: Campaign
    notices: tuple[Notice, ...]
    progress: Progress
    annotators: tuple[Annotator, ...]
    days: tuple[Day, ...]
    efforts: tuple[Effort, ...]
    adapters: tuple[Adapter, ...]
    agreement: Agreement
    training: Training
    queue: Queue
