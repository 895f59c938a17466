"""Result file of the crash harness."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
Kind = Literal["store", "train", "server", "damage"]
Outcome = Literal["noticed", "same", "changed"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Violation(_Strict):
    """An event that must never happen.

    Attributes:
        part: part of the harness.
        seed, number: of the campaign, and of the kill or damage in it; they reproduce all random choices.
        what: description.
    """

    part: Kind
    seed: int
    number: Count
    what: str


class Part(_Strict):
    """One kind of process.

    Attributes:
        kills: kills that hit a running process.
        seeds: one per new campaign.
        acknowledged: acknowledgements before a kill, by kind; all are checked afterwards.
        checked: number of comparisons over all checks.
        put_aside: quarantined files, by reason.
        moments: kills by the process's current operation, if known.
        restart_s: median and maximum seconds until the store or the server is back, or the job has ended.
        seconds: duration of this part.
    """

    kills: Count = 0
    seeds: list[int] = []
    acknowledged: dict[str, Count] = {}
    checked: Count = 0
    put_aside: dict[str, Count] = {}
    moments: dict[str, Count] = {}
    restart_s: dict[str, float] = {}
    seconds: float = 0.0

    def add(self, name: Literal["acknowledged", "put_aside", "moments"], what: str, count: int = 1) -> None:
        """Count something."""
        counts = Counter(getattr(self, name))
        counts[what] += count
        setattr(self, name, dict(sorted(counts.items())))


class Damage(_Strict):
    """Flipped bits and truncations of one kind of file.

    Attributes:
        noticed: rejected, quarantined or rebuilt before the damaged data was used.
        same: all answers are as before, and all served data is intact.
        changed: an answer has changed without a reported problem. Each is a violation.
    """

    flips: Count = 0
    truncations: Count = 0
    noticed: Count = 0
    same: Count = 0
    changed: Count = 0


class Report(_Strict):
    """The result file."""

    date: str
    machine: dict[str, Any]
    command: str
    store: Part = Part()
    train: Part = Part()
    server: Part = Part()
    damage: dict[str, Damage] = {}
    damage_seed: int = 0
    damage_seconds: float = 0.0
    violations: list[Violation] = []
