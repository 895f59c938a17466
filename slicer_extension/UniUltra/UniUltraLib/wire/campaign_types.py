"""The campaign's data as plain values, read from the server's JSON with every part checked.

A missing part gets a harmless default; a part of another kind raises what the caller turns into
`UnexpectedAnswer`.
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
    """The campaign part of `/info/`; empty when the server has no campaign.

    Attributes:
        name, instructions: for people.
        labels: the structures, in their order.
        readers: how many label each unit without seeing each other's label.
        frames: of a cine that are asked for: `first` (then any frame will do), `all`, `every N`.
        skip_reasons: offered to an annotator who skips.
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
        entry = info.get("campaign")
        if not isinstance(entry, dict):
            return cls()
        minutes = entry.get("lease_minutes")
        return cls(
            name=_text(entry.get("name")),
            instructions=_text(entry.get("instructions")),
            labels=tuple(_labels(entry.get("labels"))),
            readers=_whole(entry.get("readers")) or 1,
            frames=_text(entry.get("frames")) or "first",
            skip_reasons=tuple(map(str, _list(entry.get("skip_reasons")))),
            lease_minutes=float(minutes) if isinstance(minutes, (int, float)) and minutes > 0 else 30.0,
            offers=frozenset(map(str, _list(entry.get("offers")))),
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
    def of(cls, entry: Mapping[str, Any]) -> PlaneMask:
        """Read one; a `KeyError`, `TypeError` or `ValueError` is no mask."""
        return cls(str(entry["label"]), int(entry["frame"]), tuple(entry["bbox"]), str(entry["mask"]))

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
    def of(cls, entry: Mapping[str, Any]) -> Version:
        """Read one; a `KeyError`, `TypeError` or `ValueError` is no version."""
        origin, info = _dict(entry.get("origin")), _dict(entry.get("info"))
        frames = entry.get("frames")
        return cls(
            revision=int(entry["revision"]),
            tag=str(entry.get("tag", FINAL)),
            annotator=_text(entry.get("annotator")),
            made=_text(entry.get("made")),
            state=_text(entry.get("state")),
            base=_whole(entry.get("base")),
            seen=_whole(info.get("seen_revision")),
            frames=None if frames is None else tuple(int(frame) for frame in frames),
            model=origin.get("model"),
            adapter=origin.get("adapter"),
            prompts=tuple(part for part in _list(origin.get("prompts")) if isinstance(part, dict)),
            clicks=_whole(origin.get("clicks")) or 0,
            seconds=float(origin.get("seconds") or 0.0),
            hidden=tuple(PlaneMask.of(part) for part in _list(info.get("hidden"))),
            reviews=tuple(
                Review(*(_text(part.get(key)) for key in ("state", "reviewer", "comment", "made")))
                for part in _list(entry.get("reviews"))
                if isinstance(part, dict)
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
    def of(cls, entry: Mapping[str, Any]) -> Masks:
        """Read them; a `KeyError`, `TypeError` or `ValueError` is no answer."""
        i, j, k = (int(n) for n in entry["size"])
        frames = entry.get("frames")
        return cls(
            revision=int(entry["revision"]),
            size=(i, j, k),
            kind=_text(entry.get("axis_kind")),
            frames=None if frames is None else tuple(int(frame) for frame in frames),
            planes=tuple(PlaneMask.of(part) for part in entry["masks"]),
        )


def _labels(entries: Any) -> List[Label]:
    return [
        Label(str(e["name"]), int(e["index"]), _colour(e.get("color")), _text(e.get("instructions")))
        for e in _list(entries)
        if isinstance(e, dict) and e.get("name") and _whole(e.get("index"))
    ]


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
    def of(cls, entry: Mapping[str, Any]) -> Training:
        """Read one; a `TypeError` or `ValueError` is no answer."""
        return cls(
            state=_text(entry.get("state")) or "none",
            model=entry.get("model"),
            phase=_text(entry.get("phase")),
            epoch=_whole(entry.get("epoch")),
            epochs=_whole(entry.get("epochs")),
            labels=_whole(entry.get("labels")) or 0,
            message=_text(entry.get("message")),
            curve=tuple(
                CurvePoint(int(part["epoch"]), _number(part.get("loss")), _number(part.get("dice")))
                for part in _list(entry.get("curve"))
            ),
            loss=_number(entry.get("loss")),
            dice=_number(entry.get("dice")),
            left_s=_number(entry.get("left_s")),
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
