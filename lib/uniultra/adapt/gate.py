"""Whether what a training made may answer clicks: better on labels it never saw, and nothing forgotten.

With fewer than 30 structures of held-out patients, or of one such patient only, the labels are
cross-validated: each is answered by a network that was trained without its patient, and the mean has to be
above that of the network that answers now. From 30 up the held-out ones decide, by a paired bootstrap over
patients whose interval has to lie above zero. Either way the mean over one click and a box counts; and
what the model's own weights know, measured by one click and by a box, may not lose more than 0.01. A network
that is better and forgets more is brought back towards the weights it began with, and asked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from uniultra.adapt.holdout import held_out
from uniultra.adapt.scoring import Scores
from uniultra.metrics.intervals import difference_interval

ENOUGH = 30  # held-out structures from which they decide
MAY_LOSE = 0.01  # Dice of what was known before
Rule = Literal["folds", "held_out"]


class Dice(BaseModel):
    """Mean Dice after one click, and of a tight box."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    click: float
    box: float

    @classmethod
    def of(cls, scores: Scores) -> Dice:
        """Means of scores `(N,2)`."""
        click, box = scores.mean(0)
        return cls(click=round(float(click), 5), box=round(float(box), 5))


class Old(BaseModel):
    """What the model's own weights know, before and after; `name` is of a set, or `scenes`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    n: int
    before: Dice
    after: Dice

    @property
    def lost(self) -> float:
        """The larger of the two losses."""
        return max(self.before.click - self.after.click, self.before.box - self.after.box)


class Verdict(BaseModel):
    """What the gate says, with its numbers.

    Attributes:
        publish: whether the new network may answer.
        why: in a sentence.
        rule: how it was measured.
        n, patients: structures measured, and whose.
        now, new: of the network that answers now and of the new one; None of the new one where there
            was nothing to measure.
        gain, low, high: of the mean over click and box, with its 95 % interval.
        old: what was known before.
        share: how far the new network is from the weights at the start to those that were trained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    publish: bool
    why: str
    rule: Rule
    n: int
    patients: int
    now: Dice | None = None
    new: Dice | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    old: tuple[Old, ...] = ()
    share: float | None = None

    @property
    def forgets(self) -> bool:
        """More than may be lost of what was known before."""
        return any(one.lost > MAY_LOSE for one in self.old)

    def metrics(self) -> dict[str, float]:
        """The numbers by name, as a bundle's manifest holds them."""
        found = {"n": float(self.n), "patients": float(self.patients)}
        for name, one in (("now", self.now), ("new", self.new)):
            found |= {f"{name}_click": one.click, f"{name}_box": one.box} if one else {}
        for name, value in (("gain", self.gain), ("gain_low", self.low), ("gain_high", self.high)):
            found |= {} if value is None else {name: value}
        for old in self.old:
            found |= {
                f"{old.name}_click_before": old.before.click,
                f"{old.name}_click_after": old.after.click,
            }
            found |= {f"{old.name}_box_before": old.before.box, f"{old.name}_box_after": old.after.box}
        return found


def rule_of(groups: Sequence[str]) -> Rule:
    """How labels are measured.

    Args:
        groups: the patient of each structure.
    """
    away = [group for group in groups if held_out(group)]
    some_are_left = len(away) < len(groups)
    return "held_out" if len(away) >= ENOUGH and len(set(away)) >= 2 and some_are_left else "folds"


def improves(rule: Rule, now: Scores, new: Scores, groups: Sequence[str]) -> Verdict:
    """The first half of the verdict: is it better on labels it never saw?

    Args:
        rule: how the scores were made.
        now, new: `(N,2)` of the same structures.
        groups: the patient of each.
    """
    n, patients = len(new), len(set(groups))
    if patients < 2:
        why = "Expected labels of at least two patients, to measure on one what the other taught."
        return Verdict(publish=False, why=why, rule=rule, n=n, patients=patients)
    found = difference_interval(new.mean(1), now.mean(1), groups)
    better = found.mean > 0 if rule == "folds" else (found.low or 0.0) > 0
    why = "It is better on labels that it never saw."
    if not better:
        why = "It is not better on labels that it never saw" + (
            "." if rule == "folds" or found.mean <= 0 else " by more than chance explains."
        )
    return Verdict(
        publish=better,
        why=why,
        rule=rule,
        n=n,
        patients=patients,
        now=Dice.of(now),
        new=Dice.of(new),
        gain=round(found.mean, 5),
        low=_rounded(found.low),
        high=_rounded(found.high),
    )


def remembers(verdict: Verdict, old: Mapping[str, tuple[Scores, Scores]]) -> Verdict:
    """The second half: the same verdict, or a refusal where too much was forgotten.

    Args:
        verdict: the first half.
        old: by name, scores before and after.
    """
    parts = tuple(
        Old(name=name, n=len(before), before=Dice.of(before), after=Dice.of(after))
        for name, (before, after) in old.items()
        if len(before)
    )
    worst = max(parts, key=lambda part: part.lost, default=None)
    changed: dict[str, object] = {"old": parts}
    if worst is not None and worst.lost > MAY_LOSE:
        changed |= {"publish": False}
        if verdict.publish:
            changed |= {"why": f"It lost {worst.lost:.3f} Dice on what was known before ({worst.name})."}
    return verdict.model_copy(update=changed)


def _rounded(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 5)
