"""The JSON of answers, packed or beside a file; docs/wire.md lists their keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from uniultra.images.types import Plane
from uniultra.predict import Prediction
from uniultra.serve.wire.packing import pack_mask


class Tally:
    """What the predictions of one answer have in common, without their masks."""

    def __init__(self) -> None:
        self._model = ""
        self._adapter: str | None = None
        self._scores: list[float] = []
        self._seconds: Counter[str] = Counter()
        self._cached = True

    def add(self, prediction: Prediction) -> None:
        """Count one more."""
        self._model, self._adapter = prediction.model, prediction.adapter
        self._scores.append(prediction.score)
        self._seconds.update({k: v for k, v in prediction.timings.items() if k != "cached"})
        self._cached &= bool(prediction.timings.get("cached"))

    @property
    def score(self) -> float:
        """Mean predicted IoU."""
        return round(sum(self._scores) / len(self._scores), 4)

    @property
    def timings(self) -> dict[str, float]:
        """Seconds in all; `cached` is 1 when all planes had been encoded before."""
        return {"cached": float(self._cached), **{k: round(v, 5) for k, v in self._seconds.items()}}

    @property
    def origin(self) -> dict[str, Any]:
        """Who answered."""
        return {"model": self._model, "adapter": self._adapter}


def packed_answer(predictions: Sequence[Prediction], plane: Plane, *, several: bool) -> dict[str, Any]:
    """The JSON of `result: "packed"`; with `several`, one entry per object under `objects`."""
    tally = Tally()
    tally.add(predictions[0])  # the timings are of the whole call
    objects = [_packed(p) for p in predictions]
    return {
        **({"objects": objects} if several else objects[0]),
        **_place(plane),
        **tally.origin,
        "timings": tally.timings,
    }


def packed_frames(found: Iterable[tuple[Plane, Prediction]]) -> dict[str, Any]:
    """The JSON of `result: "packed"` for all frames of an image; each mask is packed as it comes."""
    tally, frames = Tally(), []
    for plane, prediction in found:
        tally.add(prediction)
        frames.append({**_packed(prediction), "frame": plane.index})
    return {"frames": frames, **_place(None), **tally.origin, "timings": tally.timings}


def file_answer(tally: Tally, plane: Plane | None, label: str, seconds: float) -> dict[str, Any]:
    """The JSON beside a file with the masks of one plane, or (None) of all frames."""
    return {
        "label_names": {label: 1},
        "score": tally.score,
        "latencies": {**tally.timings, "total": round(seconds, 4)},
        "plane": _place(plane)["plane"],
        **tally.origin,
    }


def _packed(prediction: Prediction) -> dict[str, Any]:
    packed = pack_mask(prediction.mask) or {"bbox": None, "mask": ""}
    return {**packed, "score": round(prediction.score, 4)}


def _place(plane: Plane | None) -> dict[str, Any]:
    if plane is None:
        return {"frame": None, "plane": None}
    return {
        "frame": plane.index if plane.axis == "k" else None,
        "plane": {"axis": plane.axis, "index": plane.index},
    }
