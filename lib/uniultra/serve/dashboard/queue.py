"""What comes next under the strategy in use, with what it ranks by."""

from __future__ import annotations

from collections.abc import Sequence

from uniultra.active import registry
from uniultra.active.scoring import UnitScore
from uniultra.serve.dashboard.schema import Next, Queue
from uniultra.serve.scoring.rankings import Rankings
from uniultra.store.types import Unit

SHOWN = 12
# what a number of `Summary` means to a reader; strategies that need none of them rank by no such number
MEANING = {
    "boundary": "the model's entropy about the contours, in bits per pixel",
    "entropy": "the model's entropy over the picture, in bits per pixel",
    "iou": "the IoU that the model expects of itself",
    "disagreement": "how much answers on altered copies disagree, 0 to 1",
    "foreground": "the share of the picture where structures are expected",
}


def queue(strategy: str, waiting: Sequence[Unit], rankings: Rankings | None) -> Queue:
    """The units that come next; without rankings those that wait, in no order.

    Raises:
        RequestError: no such strategy.
    """
    if rankings is None:
        units = tuple(Next(image=one.image, frame=one.frame, score=None) for one in waiting[:SHOWN])
        about = "By chance; these are some of those that wait"
        return Queue(
            strategy=strategy, description=about, meaning="", units=units, scored=0, total=len(waiting)
        )
    found = registry.strategy(strategy)
    field = next((name for name in found.needs if name in MEANING), None)
    scores = {unit: rankings.score(unit) for unit in waiting}
    return Queue(
        strategy=strategy,
        description=found.description,
        meaning=MEANING[field] if field else "",
        units=tuple(
            Next(image=unit.image, frame=unit.frame, score=_number(scores[unit], field))
            for unit in rankings.order(strategy, waiting)[:SHOWN]
        ),
        scored=sum(score is not None for score in scores.values()),
        total=len(waiting),
    )


def _number(score: UnitScore | None, field: str | None) -> float | None:
    if score is None or field is None:
        return None
    value: float | None = getattr(score.summary, field)
    return None if value is None else round(value, 4)
