"""The campaign's data as plain values, read from the server's JSON with every field checked.

A missing field gets a harmless default. The `of` methods raise `KeyError`, `TypeError`, `ValueError` or
`AttributeError` for a field of another type; `campaign_calls.understood` makes an `UnexpectedAnswer` of it.
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
    """A structure of the campaign: name, value in label files, RGB colour (0 to 1), drawing instructions."""

    name: str
    index: int
    colour: Colour = (0.9, 0.1, 0.3)
    instructions: str = ""


@dataclass(frozen=True)
class Campaign:
    """The campaign part of `/info/`; empty when the server has no campaign.

    Attributes:
        name, instructions: shown to the annotators.
        labels: the structures, in the campaign's order.
        readers: how many annotators label each unit without seeing each other's label.
        frames: which frames of a cine are requested: `first` (then any frame will do), `all`, `every N`.
        skip_reasons: choices for an annotator who skips.
        lease_minutes: how long a lease lasts without activity.
        offers: the server's extensions of MONAI Label's API, such as `review`, `masks`, `curve`.
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
        """The campaign in the server's `/info/`."""
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
    """A reviewer's verdict on a version, at the time `made` (UTC)."""

    state: str
    reviewer: str
    comment: str
    made: str


@dataclass(frozen=True)
class PlaneMask:
    """The mask of a structure on one frame or slice, packed as in `mask_packing`."""

    label: str
    frame: int
    bbox: Sequence[int]
    packed: str

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> PlaneMask:
        """Read an entry of a version's masks."""
        return cls(str(entry["label"]), int(entry["frame"]), tuple(entry["bbox"]), str(entry["mask"]))

    def pixels(self, size: Size) -> np.ndarray:
        """The mask, (rows, columns) bool, in an image of `size` = (I,J,K).

        Raises:
            PackedMaskError: the mask does not fit the image.
        """
        return unpack_mask(list(self.bbox), self.packed, (size[1], size[0]))


@dataclass(frozen=True)
class Version:
    """One version of the label of an image.

    Attributes:
        revision: number of the version; later versions have higher ones.
        tag: `draft`, `final`, `original` (a model's proposal) or another tag.
        annotator: who saved it.
        made: when it was saved, UTC.
        state: that of the newest review; without a review, the tag.
        seen: the newest final revision that the annotator of a draft knew.
        frames: the frames of a cine that are done; None for a still or a volume.
        model, adapter, prompts, clicks, seconds: how the label was made.
        hidden: pixels that the label file cannot hold, because another structure has them there.
        reviews: oldest first.
    """

    revision: int
    tag: str
    annotator: str = ""
    made: str = ""
    state: str = ""
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
        """The comment of the newest review; empty without one."""
        return self.reviews[-1].comment if self.reviews else ""

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Version:
        """Read an entry of an image's versions."""
        origin, info = _dict(entry.get("origin")), _dict(entry.get("info"))
        return cls(
            revision=int(entry["revision"]),
            tag=str(entry.get("tag", FINAL)),
            annotator=_text(entry.get("annotator")),
            made=_text(entry.get("made")),
            state=_text(entry.get("state")),
            seen=_whole(info.get("seen_revision")),
            frames=_frames(entry),
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
    """A label in the reviewer's list; see `Version`."""

    image: str
    revision: int
    annotator: str
    state: str
    made: str = ""
    frames: Optional[Tuple[int, ...]] = None

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> ToReview:
        """Read an entry of the list."""
        image, annotator, state, made = (str(entry[key]) for key in ("image", "annotator", "state", "made"))
        return cls(image, int(entry["revision"]), annotator, state, made, _frames(entry))


@dataclass(frozen=True)
class Agreement:
    """Two readers' labels of one structure; `hd95` in `unit` (mm or px), None where one mask is empty."""

    annotators: Tuple[str, str]
    revisions: Tuple[int, int]
    label: str
    dice: float
    hd95: Optional[float]
    unit: str

    @classmethod
    def of(cls, pair: Mapping[str, Any]) -> Agreement:
        """Read a pair of readers."""
        (first, second), (older, newer) = pair["annotators"], pair["revisions"]
        hd95 = None if pair["hd95"] is None else float(pair["hd95"])
        names, revisions = (str(first), str(second)), (int(older), int(newer))
        return cls(names, revisions, str(pair["label"]), float(pair["dice"]), hd95, str(pair["unit"]))


@dataclass(frozen=True)
class Masks:
    """The masks of a version.

    Attributes:
        size: (I,J,K) voxels of the image.
        frames: the frames of a cine that are done; None for a still or a volume.
        planes: a mask for each structure and each frame or slice on which it is drawn.
    """

    size: Size
    frames: Optional[Tuple[int, ...]]
    planes: Tuple[PlaneMask, ...]

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Masks:
        """Read the answer to `campaign_calls.masks`."""
        i, j, k = (int(n) for n in entry["size"])
        return cls((i, j, k), _frames(entry), tuple(PlaneMask.of(part) for part in entry["masks"]))


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
    """Loss and validation Dice of one epoch; None where not measured."""

    epoch: int
    loss: Optional[float] = None
    dice: Optional[float] = None


@dataclass(frozen=True)
class Training:
    """State and progress of a training.

    Attributes:
        state: `none`, `waiting`, `running`, `stopped`, `published`, `refused` (by the gate) or `failed`.
        model: the model that is adapted.
        adapter: ID of the adapter that now answers for that model; None for its own weights.
        epoch, epochs: progress of a running training.
        left_s: estimated seconds left.
        labels: number of labels it trains on.
        message: outcome in one sentence.
        curve: loss and Dice by epoch.
    """

    state: str = "none"
    model: Optional[str] = None
    adapter: Optional[str] = None
    epoch: Optional[int] = None
    epochs: Optional[int] = None
    left_s: Optional[float] = None
    labels: int = 0
    message: str = ""
    curve: Tuple[CurvePoint, ...] = ()

    @property
    def running(self) -> bool:
        """Whether it runs, or waits for its turn."""
        return self.state in ("running", "waiting")

    @property
    def progress(self) -> Optional[float]:
        """Fraction of the epochs done (0..1); None if unknown."""
        return self.epoch / self.epochs if self.epochs and self.epoch is not None else None

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Training:
        """Read the answer to `campaign_calls.training`."""
        return cls(
            state=_text(entry.get("state")) or "none",
            model=entry.get("model"),
            adapter=entry.get("adapter"),
            epoch=_whole(entry.get("epoch")),
            epochs=_whole(entry.get("epochs")),
            labels=_whole(entry.get("labels")) or 0,
            message=_text(entry.get("message")),
            curve=tuple(
                CurvePoint(int(part["epoch"]), _number(part.get("loss")), _number(part.get("dice")))
                for part in _list(entry.get("curve"))
            ),
            left_s=_number(entry.get("left_s")),
        )


def _frames(entry: Mapping[str, Any]) -> Optional[Tuple[int, ...]]:
    """The frames of a label of a cine; None for a still or a volume."""
    frames = entry.get("frames")
    return None if frames is None else tuple(int(frame) for frame in frames)


def _text(value: Any) -> str:
    """The text, or an empty one."""
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
