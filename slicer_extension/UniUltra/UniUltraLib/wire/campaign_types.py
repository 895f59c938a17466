"""The campaign as the server tells it: plain values, read from its JSON with every part checked.

What is missing gets its harmless value; what cannot be meant is an `UnexpectedAnswer` of the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from ..prompts.mask_packing import unpack_mask
from ..prompts.planes import Size

Colour = Tuple[float, float, float]

DRAFT, FINAL, PROPOSAL = "draft", "final", "original"
RETURNED, APPROVED, FLAGGED = "returned", "approved", "flagged"


@dataclass(frozen=True)
class Label:
    """A structure of the campaign: name, value in label files, colour (0 to 1), how to draw it."""

    name: str
    index: int
    colour: Colour = (0.9, 0.1, 0.3)
    instructions: str = ""


@dataclass(frozen=True)
class Campaign:
    """What `/info/` says of the campaign; an empty one when the server has none.

    Attributes:
        name, instructions: for people.
        labels: the structures, in their order.
        readers: how many label each unit without seeing each other's label.
        frames: of a cine that are asked for: `first` (then any frame will do), `all`, `every N`.
        skip_reasons: to offer to whoever skips.
        lease_minutes: how long a unit stays given without work on it.
        offers: what more than MONAI Label's own the server has, such as `review`, `masks`, `curve`.
    """

    name: str = ""
    instructions: str = ""
    labels: Tuple[Label, ...] = ()
    readers: int = 1
    frames: str = "first"
    skip_reasons: Tuple[str, ...] = ()
    lease_minutes: float = 30.0
    offers: frozenset = frozenset()

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> Campaign:
        """Read it from `/info/`."""
        told = info.get("campaign")
        if not isinstance(told, dict):
            return cls()
        minutes = told.get("lease_minutes")
        return cls(
            name=_text(told.get("name")),
            instructions=_text(told.get("instructions")),
            labels=tuple(_labels(told.get("labels"))),
            readers=_whole(told.get("readers")) or 1,
            frames=_text(told.get("frames")) or "first",
            skip_reasons=tuple(map(str, _list(told.get("skip_reasons")))),
            lease_minutes=float(minutes) if isinstance(minutes, (int, float)) and minutes > 0 else 30.0,
            offers=frozenset(map(str, _list(told.get("offers")))),
        )


@dataclass(frozen=True)
class Review:
    """What a reviewer said of a version."""

    state: str
    reviewer: str
    comment: str
    made: str


@dataclass(frozen=True)
class PlaneMask:
    """What a structure holds on frame (slice) `frame`: packed, as it travels."""

    label: str
    frame: int
    bbox: Sequence[int]
    packed: str

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> PlaneMask:
        """Read one; a `KeyError`, `TypeError` or `ValueError` is no mask."""
        return cls(str(told["label"]), int(told["frame"]), tuple(told["bbox"]), str(told["mask"]))

    def pixels(self, size: Size) -> np.ndarray:
        """(rows, columns) bool of an image of `size` = (I,J,K).

        Raises:
            PackedMaskError: it does not fit.
        """
        return unpack_mask(list(self.bbox), self.packed, (size[1], size[0]))


@dataclass(frozen=True)
class Version:
    """One version of the label of an image.

    Attributes:
        revision: its number; annotator: who saved it; made: when, UTC.
        tag: `draft`, `final`, `original` (a model's proposal) or another word.
        state: what the newest review says, else what the tag does.
        base: the revision it was made from; seen: of a draft, the final revision that the annotator knew.
        frames: of a cine, those that are done, else None.
        model, adapter, prompts, clicks, seconds: how it came about.
        hidden: pixels that the label file could not hold, as another structure has them there.
        reviews: oldest first.
    """

    revision: int
    tag: str
    annotator: str = ""
    made: str = ""
    state: str = ""
    base: Optional[int] = None
    seen: Optional[int] = None
    frames: Optional[Tuple[int, ...]] = None
    model: Optional[str] = None
    adapter: Optional[str] = None
    prompts: Tuple[Dict[str, Any], ...] = ()
    clicks: int = 0
    seconds: float = 0.0
    hidden: Tuple[PlaneMask, ...] = ()
    reviews: Tuple[Review, ...] = ()

    @property
    def comment(self) -> str:
        """What the newest review says in words."""
        return self.reviews[-1].comment if self.reviews else ""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Version:
        """Read one; a `KeyError`, `TypeError` or `ValueError` is no version."""
        origin, info = _dict(told.get("origin")), _dict(told.get("info"))
        frames = told.get("frames")
        return cls(
            revision=int(told["revision"]),
            tag=str(told.get("tag", FINAL)),
            annotator=_text(told.get("annotator")),
            made=_text(told.get("made")),
            state=_text(told.get("state")),
            base=_whole(told.get("base")),
            seen=_whole(info.get("seen_revision")),
            frames=None if frames is None else tuple(int(frame) for frame in frames),
            model=origin.get("model"),
            adapter=origin.get("adapter"),
            prompts=tuple(one for one in _list(origin.get("prompts")) if isinstance(one, dict)),
            clicks=_whole(origin.get("clicks")) or 0,
            seconds=float(origin.get("seconds") or 0.0),
            hidden=tuple(PlaneMask.of(one) for one in _list(info.get("hidden"))),
            reviews=tuple(
                Review(*(_text(one.get(key)) for key in ("state", "reviewer", "comment", "made")))
                for one in _list(told.get("reviews"))
                if isinstance(one, dict)
            ),
        )


@dataclass(frozen=True)
class ToReview:
    """A label in the reviewer's list."""

    image: str
    revision: int
    annotator: str
    state: str
    made: str = ""
    frames: Optional[Tuple[int, ...]] = None


@dataclass(frozen=True)
class Agreement:
    """Two readers' labels of one structure; `hd95` in `unit` (mm or px), None where one has nothing."""

    annotators: Tuple[str, str]
    revisions: Tuple[int, int]
    label: str
    dice: float
    hd95: Optional[float]
    unit: str


@dataclass(frozen=True)
class Masks:
    """The masks of a version, over an image of `size` = (I,J,K); `frames`: of a cine, those that are done."""

    revision: int
    size: Size
    kind: str
    frames: Optional[Tuple[int, ...]]
    planes: Tuple[PlaneMask, ...]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Masks:
        """Read them; a `KeyError`, `TypeError` or `ValueError` is no answer."""
        i, j, k = (int(n) for n in told["size"])
        frames = told.get("frames")
        return cls(
            revision=int(told["revision"]),
            size=(i, j, k),
            kind=_text(told.get("axis_kind")),
            frames=None if frames is None else tuple(int(frame) for frame in frames),
            planes=tuple(PlaneMask.of(one) for one in told["masks"]),
        )


def _labels(told: Any) -> List[Label]:
    found = []
    for one in _list(told):
        if isinstance(one, dict) and one.get("name") and _whole(one.get("index")):
            colour = _colour(one.get("color"))
            found.append(Label(str(one["name"]), int(one["index"]), colour, _text(one.get("instructions"))))
    return found


def _colour(text: Any) -> Colour:
    try:
        red, green, blue = bytes.fromhex(str(text).lstrip("#"))
    except ValueError:
        return Label.colour
    return red / 255, green / 255, blue / 255


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
        return cls(
            state=_text(told.get("state")) or "none",
            model=told.get("model"),
            phase=_text(told.get("phase")),
            epoch=_whole(told.get("epoch")),
            epochs=_whole(told.get("epochs")),
            labels=_whole(told.get("labels")) or 0,
            message=_text(told.get("message")),
            curve=tuple(
                CurvePoint(int(one["epoch"]), _number(one.get("loss")), _number(one.get("dice")))
                for one in _list(told.get("curve"))
            ),
            loss=_number(told.get("loss")),
            dice=_number(told.get("dice")),
            left_s=_number(told.get("left_s")),
        )


def _text(value: Any) -> str:
    """The text, or none."""
    return value if isinstance(value, str) else ""


def _whole(value: Any) -> Optional[int]:
    """The whole number from 0 up, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _number(value: Any) -> Optional[float]:
    """The number, or None."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _list(value: Any) -> Sequence[Any]:
    """The list, or an empty one."""
    return value if isinstance(value, (list, tuple)) else ()


def _dict(value: Any) -> Dict[str, Any]:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}
