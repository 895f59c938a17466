"""A picture in memory as a source of frames, and the interface of what is measured on it."""

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
    """A picture in memory as a source of frames."""

    pixels: Picture

    @property
    def content_hash(self) -> str:
        return hashlib.sha256(self.pixels.tobytes()).hexdigest()

    def plane_shape(self, axis: PlaneAxis) -> tuple[int, int]:
        return self.pixels.shape[0], self.pixels.shape[1]

    def picture(self, plane: Plane) -> Picture:
        return self.pixels


class Answers(Protocol):
    """What is measured: `uniultra.predict.Predictor`, or anything that answers as it does."""

    def predict(
        self, source: FrameSource, plane: Plane, prompts: Sequence[PromptSet]
    ) -> list[Prediction]: ...
