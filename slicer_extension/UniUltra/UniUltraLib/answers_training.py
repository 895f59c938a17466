"""A training as the server tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional, Tuple

from .reading import list_of, number_of, text_of, whole_of


@dataclass(frozen=True)
class CurvePoint:
    """One epoch of a training; `dice` where it was measured."""

    epoch: int
    loss: Optional[float] = None
    dice: Optional[float] = None


@dataclass(frozen=True)
class Training:
    """How far a training is.

    Attributes:
        state: `none`, `waiting`, `running`, `stopped`, `published`, `refused` (by the gate) or `failed`.
        model: what it adapts; adapter: what now answers for that model, None for its own weights.
        phase, epoch, epochs, loss, dice, left_s: of a training that runs.
        labels: how many it trains on.
        message: how it ended, in a sentence.
        curve: loss and Dice by epoch.
    """

    state: str = "none"
    model: Optional[str] = None
    adapter: Optional[str] = None
    phase: str = ""
    epoch: Optional[int] = None
    epochs: Optional[int] = None
    loss: Optional[float] = None
    dice: Optional[float] = None
    left_s: Optional[float] = None
    labels: int = 0
    message: str = ""
    curve: Tuple[CurvePoint, ...] = ()

    @property
    def running(self) -> bool:
        """Whether it works, or will by itself."""
        return self.state in ("running", "waiting")

    @property
    def progress(self) -> Optional[float]:
        """0..1, or None."""
        return self.epoch / self.epochs if self.epochs and self.epoch is not None else None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Training:
        """Read one; a `TypeError` or `ValueError` is no answer."""
        numbers = {key: number_of(told.get(key)) for key in ("loss", "dice", "left_s")}
        return cls(
            state=text_of(told.get("state")) or "none",
            model=told.get("model"),
            phase=text_of(told.get("phase")),
            epoch=whole_of(told.get("epoch")),
            epochs=whole_of(told.get("epochs")),
            labels=whole_of(told.get("labels")) or 0,
            message=text_of(told.get("message")),
            curve=tuple(
                CurvePoint(int(one["epoch"]), number_of(one.get("loss")), number_of(one.get("dice")))
                for one in list_of(told.get("curve"))
            ),
            **numbers,
        )
