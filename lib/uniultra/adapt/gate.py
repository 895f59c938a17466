"""The gate: a trained network goes into service only if it is better on unseen labels and forgets nothing.

Two rules decide whether it is better, both on the mean of the Dice after one click and of a box:

- `folds`: with fewer than 30 structures of held-out patients, or with one held-out patient only, the labels
  are cross-validated. Each is scored by a network that was trained without its patient, and the mean must be
  above that of the network in service.
- `held_out`: from 30 structures on, the held-out patients decide. The 95 % interval of the gain, by a paired
  bootstrap over patients, must lie above zero.

Then the forgetting test: on what the base weights know, neither the Dice after one click nor that of a box
may fall by more than 0.01. A network that is better but forgets more is interpolated towards the base weights
and tested again (`run.AdaptationRun`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from uniultra.adapt.holdout import held_out
from uniultra.adapt.scoring import Scores
from uniultra.metrics.intervals import difference_interval

ENOUGH = 30  # held-out structures from which the rule is `held_out`
MAY_LOSE = 0.01  # Dice
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
    """One forgetting test: Dice of the base weights and of the new network; `name` of a set, or `scenes`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    n: int
    before: Dice
    after: Dice

    @property
    def lost(self) -> float:
        """The larger loss of the two kinds of prompt."""
        return max(self.before.click - self.after.click, self.before.box - self.after.box)


class Verdict(BaseModel):
    """The gate's decision, with its numbers.

    Attributes:
        publish: whether the new network may go into service.
        why: the reason, in a sentence.
        rule: how it was measured.
        n, patients: numbers of structures measured and of their patients.
        now, new: Dice of the network in service and of the new one; None if there was nothing to measure.
        gain, low, high: gain of the mean over click and box, with its 95 % interval.
        old: forgetting tests.
        share: interpolation factor of the new network, 0 the base weights, 1 the trained ones.
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
        """Whether a forgetting test failed."""
        return any(test.lost > MAY_LOSE for test in self.old)

    def metrics(self) -> dict[str, float]:
        """The numbers by name, as a bundle's manifest holds them."""
        numbers = {"n": float(self.n), "patients": float(self.patients)}
        for name, dice in (("now", self.now), ("new", self.new)):
            numbers |= {f"{name}_click": dice.click, f"{name}_box": dice.box} if dice else {}
        for name, value in (("gain", self.gain), ("gain_low", self.low), ("gain_high", self.high)):
            numbers |= {} if value is None else {name: value}
        for old in self.old:
            for when, dice in (("before", old.before), ("after", old.after)):
                numbers |= {f"{old.name}_click_{when}": dice.click, f"{old.name}_box_{when}": dice.box}
        return numbers


def rule_of(groups: Sequence[str]) -> Rule:
    """The rule for these labels.

    Args:
        groups: the patient of each structure.
    """
    unseen = [group for group in groups if held_out(group)]
    some_to_train_on = len(unseen) < len(groups)
    return "held_out" if len(unseen) >= ENOUGH and len(set(unseen)) >= 2 and some_to_train_on else "folds"


def improves(rule: Rule, now: Scores, new: Scores, groups: Sequence[str]) -> Verdict:
    """The first half of the verdict: is the new network better on unseen labels?

    Args:
        rule: how the scores were measured.
        now, new: scores `(N,2)` of the same structures by the network in service and by the new one.
        groups: the patient of each structure.

    Example:
        >>> import numpy as np
        >>> now = np.full((4, 2), 0.6)
        >>> verdict = improves("folds", now, now + 0.1, ["ann", "ben", "cleo", "dora"])
        >>> verdict.publish, verdict.gain
        (True, 0.1)
        >>> forgot = remembers(verdict, {"scenes": (now, now - 0.05)})
        >>> forgot.publish, forgot.why
        (False, 'It lost 0.050 Dice on what was known before (scenes).')
    """
    n, patients = len(new), len(set(groups))
    if patients < 2:
        why = "Expected labels of at least two patients, to measure on one what the other taught."
        return Verdict(publish=False, why=why, rule=rule, n=n, patients=patients)
    gain = difference_interval(new.mean(1), now.mean(1), groups)
    better = gain.mean > 0 if rule == "folds" else (gain.low or 0.0) > 0
    why = "It is better on labels that it never saw."
    if not better:
        why = "It is not better on labels that it never saw" + (
            "." if rule == "folds" or gain.mean <= 0 else " by more than chance explains."
        )
    return Verdict(
        publish=better,
        why=why,
        rule=rule,
        n=n,
        patients=patients,
        now=Dice.of(now),
        new=Dice.of(new),
        gain=round(gain.mean, 5),
        low=_rounded(gain.low),
        high=_rounded(gain.high),
    )


def remembers(verdict: Verdict, old: Mapping[str, tuple[Scores, Scores]]) -> Verdict:
    """The second half of the verdict: refuse a network that forgets too much.

    Args:
        verdict: the first half.
        old: by the name of a forgetting test, scores `(N,2)` of the base weights and of the new network.
    """
    parts = tuple(
        Old(name=name, n=len(before), before=Dice.of(before), after=Dice.of(after))
        for name, (before, after) in old.items()
        if len(before)
    )
    worst = max(parts, key=lambda part: part.lost, default=None)
    changes: dict[str, object] = {"old": parts}
    if worst is not None and worst.lost > MAY_LOSE:
        changes["publish"] = False
        if verdict.publish:
            changes["why"] = f"It lost {worst.lost:.3f} Dice on what was known before ({worst.name})."
    return verdict.model_copy(update=changes)


def _rounded(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 5)
