"""Progress of a campaign: the one aggregation behind `uniultra campaign status` and the campaign page.

Rules of counting:

- Only images that exist now; a label of a deleted image counts nowhere.
- A unit is labelled when enough readers have a good final label of it, or a reviewer approved one.
- A person has labelled an image when the newest of their *final* labels of it stands: final, approved or
  flagged (flagged work was done), not returned. A draft on top of it takes nothing away.
- The cost of a label is that of the person's *first* final label of the image, which holds the time of the
  drafts before it. A later correction would hide that cost behind a few seconds, so it does not replace it.
- Agreement is pooled as `store.review.pooling` says.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from uniultra.errors import UniUltraError
from uniultra.store.review.agreement import Agreement
from uniultra.store.review.pooling import pooled
from uniultra.store.review.readings import by_reader
from uniultra.store.store import LabelStore
from uniultra.store.types import FINAL, FrozenModel, LabelVersion, State, Unit
from uniultra.store.work.units import DONE, WorkList, work_list

DRAFT = "draft"
EFFORTS = 2000  # the newest labels whose cost is listed
ByPerson = dict[tuple[str, str], LabelVersion]  # by image and annotator


class UnitCounts(FrozenModel):
    """Counts of units by state; a unit is a still, a volume, or a frame that is handed out.

    Attributes:
        images, units: totals.
        labelled: units that are done; approved: those of them that a reviewer approved.
        leased: currently leased; started: neither, but a reader labelled it or left a draft, or it was
            returned; left: the others. `labelled + leased + started + left` is `units`.
        drafts, returned, flagged: units that hold a label of that state, counted beside the four above.
        skipped: units that are not done and were skipped with a reason.
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


class AnnotatorProgress(FrozenModel):
    """One person's work.

    Attributes:
        labelled, returned: images by the state of the person's newest final label.
        drafts: images whose newest label of the person is an unfinished draft.
        today, week: images first labelled today and in the last seven days, of the server's clock.
        leased: units currently leased, as shown to annotators.
        seconds, clicks: median effort per label; None if no client sent it.
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


class LabelDay(FrozenModel):
    """Images whose first final label of an annotator came on this day (of the server's clock)."""

    day: dt.date
    labels: dict[str, int]


class LabelEffort(FrozenModel):
    """Effort of an annotator's first final label of an image.

    `adapter` proposed the mask; None for a model's base weights, or no proposal.
    """

    made: dt.datetime
    image: str
    annotator: str
    seconds: float | None
    clicks: int | None
    adapter: str | None


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The labels and the work of a campaign at one moment, read once.

    Attributes:
        now: of the store's clock, UTC.
        images, units: existing now.
        work: labels, leases and skips by unit.
        versions: of people, final or draft, of the existing images, in order of time.
        states: by image and revision.
        skipped: by unit, the reason of each annotator.
    """

    now: dt.datetime
    images: Sequence[str]
    units: Sequence[Unit]
    work: WorkList
    versions: Sequence[LabelVersion]
    states: Mapping[tuple[str, int], State]
    skipped: Mapping[Unit, Mapping[str, str]]

    @classmethod
    def read(cls, store: LabelStore) -> Snapshot:
        """Read the store.

        Raises:
            StoreError, CampaignError: it cannot be used now.
        """
        images = store.images.listed()
        units = store.units()
        present = set(images)
        with store.index.reading() as connection:
            work = work_list(store.context, connection)
        versions = [each for each in store.versions() if each.tag in (FINAL, DRAFT) and each.image in present]
        return cls(
            now=store.now(),
            images=images,
            units=units,
            work=work,
            versions=sorted(versions, key=lambda each: (each.made, each.image, each.revision)),
            states=store.states(),
            skipped=store.skipped(),
        )

    def state(self, version: LabelVersion) -> State:
        """State of a version, by its newest review or else its tag."""
        return self.states.get((version.image, version.revision), "draft")

    def newest(self, *tags: str) -> ByPerson:
        """The newest version of each image and annotator; only of `tags`, if given."""
        by_revision = sorted(self.versions, key=lambda each: (each.image, each.revision))
        return {(each.image, each.annotator): each for each in by_revision if not tags or each.tag in tags}

    def drafts(self) -> list[LabelVersion]:
        """Unfinished drafts: the same annotator has no newer version of the image."""
        return [each for each in self.newest().values() if self.state(each) == "draft"]

    def first(self) -> list[LabelVersion]:
        """The first final version of each image and annotator, in order of time."""
        seen: ByPerson = {}
        for each in self.versions:
            if each.tag == FINAL:
                seen.setdefault((each.image, each.annotator), each)
        return list(seen.values())


def status(store: LabelStore, adapters: Mapping[str, str | None] | None) -> dict[str, Any]:
    """The output of `uniultra campaign status --json`: the page's numbers, and some for the lead only.

    Args:
        store: the labels.
        adapters: adapter in service for each model; None if that cannot be read.

    Raises:
        StoreError, CampaignError: the store or the campaign file cannot be used.
    """
    store.ready()
    # First: this compares every checksum, and a label that is quarantined now must not be counted below.
    trainable = store.trainable()
    snapshot, campaign = Snapshot.read(store), store.campaign
    people = sorted(annotators(snapshot), key=lambda person: (-person.labelled, person.name))
    agreement = pooled({image: compare(store, image) for image in to_compare(store)})
    return {
        "campaign": campaign.name,
        "structures": [label.name for label in campaign.labels],
        "readers": campaign.readers,
        "trains": campaign.trains,
        **unit_counts(snapshot).model_dump(exclude={"approved", "drafts", "returned", "flagged"}),
        "trainable": len({label.image for label in trainable}),
        "states": dict(sorted(Counter(map(snapshot.state, snapshot.versions)).items())),
        "annotators": [
            person.model_dump(include={"name", "labelled", "seconds", "clicks"})
            | {"leased": len(person.leased)}
            for person in people
        ],
        "agreement": agreement.model_dump(exclude={"pairs"}),
        "problems": [problem.model_dump(mode="json") for problem in store.problems()],
        "adapters": None if adapters is None else dict(adapters),
    }


def to_compare(store: LabelStore) -> dict[str, tuple[int, ...]]:
    """The images labelled by several people, with the revisions to compare."""
    present = set(store.images.listed())
    return {
        image: tuple(reading.revision for reading in readings)
        for image, readings in store.readings().items()
        if len(by_reader(readings)) > 1 and image in present
    }


def compare(store: LabelStore, image: str) -> list[Agreement]:
    """Agreement of the readers of an image; empty if the image or a label cannot be read."""
    try:
        return store.agreement(image)
    except UniUltraError:
        return []


def unit_counts(snapshot: Snapshot) -> UnitCounts:
    """Count units by state."""
    work, counts = snapshot.work, Counter[str]()
    drafted = {draft.image for draft in snapshot.drafts()}
    for unit in snapshot.units:
        states = set(work.states(unit).values())
        counts.update(states & {"returned", "flagged"})
        counts["drafts"] += unit.image in drafted
        if work.done(unit):
            counts["labelled"] += 1
            counts["approved"] += "approved" in states
            continue
        counts["skipped"] += unit in snapshot.skipped
        if work.leased.get(unit):
            counts["leased"] += 1
        elif states or unit.image in drafted:
            counts["started"] += 1
        else:
            counts["left"] += 1
    counts.update(images=len(snapshot.images), units=len(snapshot.units))
    return UnitCounts(**{name: counts[name] for name in UnitCounts.model_fields})


def annotators(snapshot: Snapshot) -> tuple[AnnotatorProgress, ...]:
    """Progress of each annotator with a label or a lease, by name."""
    newest, finals, first = snapshot.newest(), snapshot.newest(FINAL), snapshot.first()
    today, drafts = day_of(snapshot.now), Counter(draft.annotator for draft in snapshot.drafts())
    held = sorted(snapshot.work.leased.items())
    states = Counter[tuple[str, str]](
        (name, snapshot.state(version)) for (_, name), version in finals.items()
    )

    def progress(name: str) -> AnnotatorProgress:
        own = [version for version in first if version.annotator == name]
        days = Counter(day_of(version.made) for version in own)
        return AnnotatorProgress(
            name=name,
            labelled=sum(states[name, state] for state in DONE),
            drafts=drafts[name],
            returned=states[name, "returned"],
            today=days[today],
            week=sum(days[today - dt.timedelta(days=back)] for back in range(7)),
            leased=tuple(shown(unit) for unit, holders in held if name in holders),
            seconds=_median(version.origin.seconds for version in own),
            clicks=_median(version.origin.clicks for version in own),
            last=max((version.made for (_, who), version in newest.items() if who == name), default=None),
        )

    names = {name for _, name in newest}.union(*(holders for _, holders in held))
    return tuple(map(progress, sorted(names)))


def days(snapshot: Snapshot) -> tuple[LabelDay, ...]:
    """Labels per day and annotator."""
    counts: dict[dt.date, Counter[str]] = {}
    for version in snapshot.first():
        counts.setdefault(day_of(version.made), Counter())[version.annotator] += 1
    return tuple(LabelDay(day=day, labels=dict(sorted(counts[day].items()))) for day in sorted(counts))


def efforts(snapshot: Snapshot) -> tuple[LabelEffort, ...]:
    """Effort of the newest labels, where a client sent it."""
    costly = [each for each in snapshot.first() if (each.origin.seconds, each.origin.clicks) != (None, None)]
    return tuple(
        LabelEffort(
            **version.model_dump(include={"made", "image", "annotator"}),
            **version.origin.model_dump(include={"seconds", "clicks", "adapter"}),
        )
        for version in costly[-EFFORTS:]
    )


def day_of(moment: dt.datetime) -> dt.date:
    """The day of a moment by the server's clock."""
    return moment.astimezone().date()


def shown(unit: Unit) -> str:
    """A unit as shown to annotators."""
    return f"{unit.image}, frame {unit.frame}" if unit.frame else unit.image


def _median(values: Iterable[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return float(median(present)) if present else None
