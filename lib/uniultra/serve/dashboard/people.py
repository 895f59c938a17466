"""Who does what: each annotator, each day, and what a label costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from statistics import median

from uniultra.serve.dashboard.facts import COUNTS, Facts, day_of, shown
from uniultra.serve.dashboard.schema import Annotator, Day, Effort
from uniultra.store.types import LabelVersion

Newest = Mapping[tuple[str, str], LabelVersion]
EFFORTS = 2000  # the newest labels whose cost is shown


def annotators(facts: Facts) -> tuple[Annotator, ...]:
    """Everybody's work, by name."""
    newest, first = facts.newest(), facts.first()
    today = day_of(facts.now)
    return tuple(_annotator(facts, name, newest, first, today) for name in facts.annotators())


def _annotator(
    facts: Facts,
    name: str,
    newest: Mapping[tuple[str, str], LabelVersion],
    first: Sequence[LabelVersion],
    today: date,
) -> Annotator:
    mine = [version for (_, annotator), version in newest.items() if annotator == name]
    states = Counter[str](facts.state(version) for version in mine)
    begun = [version for version in first if version.annotator == name]
    days = Counter(day_of(version.made) for version in begun)
    return Annotator(
        name=name,
        labelled=sum(states[state] for state in COUNTS),
        drafts=states["draft"],
        returned=states["returned"],
        today=days[today],
        week=sum(count for day, count in days.items() if today - timedelta(days=6) <= day <= today),
        leased=tuple(shown(one.unit, cines=True) for one in facts.leases if one.annotator == name),
        seconds=_middle([version.origin.seconds for version in begun]),
        clicks=_middle([version.origin.clicks for version in begun]),
        last=max((version.made for version in mine), default=None),
    )


def days(facts: Facts) -> tuple[Day, ...]:
    """What was labelled on each day, by annotator."""
    found: dict[date, Counter[str]] = {}
    for version in facts.first():
        found.setdefault(day_of(version.made), Counter())[version.annotator] += 1
    return tuple(Day(day=day, labels=dict(sorted(found[day].items()))) for day in sorted(found))


def efforts(facts: Facts) -> tuple[Effort, ...]:
    """What each of the newest labels cost, where a client said so."""
    known = [
        version
        for version in facts.first()
        if version.origin.seconds is not None or version.origin.clicks is not None
    ]
    return tuple(
        Effort(
            made=version.made,
            image=version.image,
            annotator=version.annotator,
            seconds=version.origin.seconds,
            clicks=version.origin.clicks,
            adapter=version.origin.adapter,
        )
        for version in known[-EFFORTS:]
    )


def _middle(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(median(known)) if known else None
