"""A picture in memory as a frame source, and the interface of evaluated predictors."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from uniultra.images.types import FrameSource, Picture, Plane, PlaneAxis
from uniultra.predict.predictor import Prediction
from uniultra.prompts.types import PromptSet

STILL = Plane("k", 0)


@dataclass(frozen=True, eq=False)
class Still:
    """A picture in memory, `(H,W)` or `(H,W,3)` uint8, as a `FrameSource`; its plane is `STILL`."""

    pixels: Picture

    @property
    def content_hash(self) -> str:
        return hashlib.sha256(self.pixels.tobytes()).hexdigest()

    def plane_shape(self, axis: PlaneAxis) -> tuple[int, int]:
        return self.pixels.shape[0], self.pixels.shape[1]

    def picture(self, plane: Plane) -> Picture:
        return self.pixels


class Answers(Protocol):
    """The interface of evaluated systems: `uniultra.predict.Predictor`, or any object with this method."""

    def predict(
        self, source: FrameSource, plane: Plane, prompts: Sequence[PromptSet]
    ) -> list[Prediction]: ...
