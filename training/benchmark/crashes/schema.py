"""What the crash harness found, as its JSON."""

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
    """Something that must never happen, and did.

    Attributes:
        part: of the harness.
        seed, number: of the campaign and of the kill or damage in it: the same pair makes the same choices.
        what: in a sentence.
    """

    part: Kind
    seed: int
    number: Count
    what: str


class Part(_Strict):
    """One kind of process.

    Attributes:
        kills: that met a running process.
        seeds: one for each campaign that was made anew.
        acknowledged: how much of each kind was acknowledged before a kill, all of it looked for afterwards.
        checked: things that were compared, over all checks.
        put_aside: files in quarantine, by reason.
        moments: kills by what the process was doing, where that is known.
        restart_s: median and worst seconds until the store or the server was there again, or the job ended.
        seconds: of this part.
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
        noticed: refused, put aside or built again before anything was made of it.
        same: everything that was asked was answered as before, and what was served is whole.
        changed: something else was answered than before, and nobody was told. Each is a violation.
    """

    flips: Count = 0
    truncations: Count = 0
    noticed: Count = 0
    same: Count = 0
    changed: Count = 0


class Report(_Strict):
    """All of it."""

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
