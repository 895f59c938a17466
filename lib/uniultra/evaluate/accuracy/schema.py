"""Result file of the accuracy benchmark: one JSON file, validated on reading.

Fractions, Dice and IoU are 0..1, durations seconds, intervals `[low, high]` of 95 %.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from uniultra.evaluate.machine import Machine
from uniultra.evaluate.obedience import Obedience
from uniultra.evaluate.records import EvaluationProtocol, MeasuredModel, Overlap, PictureScore, Record
from uniultra.metrics.calibration import IouCalibration
from uniultra.metrics.intervals import Estimate

COMPONENT_RULE = "largest 8-connected component of the label"
OWN = "model"  # key of the measured model in `Accuracy.pictures`
Interval = tuple[float, float]


class SetScore(BaseModel):
    """Means over one set, as extra fields under their keys (docs/benchmark.md).

    Attributes:
        n, n_empty: pictures with and without a label.
        n_marked_empty: pictures without a label on which a prompt-free model marked something.
        n_no_distance: empty answers to the box, which have no distance.
        seen: whether the model was trained on pictures of this set; None if its weights do not say.
        overlap: `dice`, or `nsd` for sets of one-pixel lines.
        intervals: of the means, under the same keys.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, float]

    n: int
    n_empty: int
    n_marked_empty: int | None = None
    n_no_distance: int
    seen: bool | None
    overlap: Overlap
    intervals: dict[str, Interval | None]

    @property
    def means(self) -> dict[str, float]:
        """The means by key."""
        return self.__pydantic_extra__ or {}


class Organs(Record):
    """Means over several sets with equal weight per set; sets of lines are left out."""

    sets: tuple[str, ...]
    means: dict[str, float]


class Jitter(Record):
    """Overlap for clean prompts, for jittered prompts, and the paired difference clean minus jittered."""

    clean: Estimate
    jittered: Estimate
    difference: Estimate


class Cost(Record):
    """Cost of a picture and of a prompt; a method without a network has times only.

    Attributes:
        gmac_encode, gmac_decode: multiply-accumulate operations, in 10^9.
        seconds_encode, seconds_decode: medians of the network alone.
        seconds_image, seconds_prompt: medians of the whole prediction, with resizing and rasterising.
    """

    parameters: int | None = None
    gmac_encode: float | None = None
    gmac_decode: float | None = None
    seconds_encode: float | None = None
    seconds_decode: float | None = None
    seconds_image: float | None = None
    seconds_prompt: float | None = None


class Alternative(Record):
    """Another system on the same pictures.

    Attributes:
        differences: by set and key, the paired mean difference, measured model minus this system. A
            prompt-free system's single answer stands for every prompt.
    """

    title: str
    model: MeasuredModel | None
    sets: dict[str, SetScore]
    differences: dict[str, dict[str, Estimate]]
    cost: Cost


class Accuracy(Record):
    """All results of the benchmark.

    Attributes:
        organs: under `seen`, `unseen` and `unknown`; empty groups are left out.
        missing: alternatives that were not measured, with the reason.
        pictures: scores by system; the measured model is `model`.
    """

    schema_version: Literal[1] = 1
    uniultra: str
    made: str
    machine: Machine
    split: str
    limit: int | None
    model: MeasuredModel
    protocol: EvaluationProtocol
    component_rule: str = COMPONENT_RULE
    sets: dict[str, SetScore]
    organs: dict[str, Organs]
    obedience: Obedience | None
    calibration: dict[str, IouCalibration]
    robustness: dict[str, dict[str, Jitter]]
    cost: Cost
    alternatives: dict[str, Alternative]
    missing: dict[str, str] = Field(default_factory=dict)
    pictures: dict[str, list[PictureScore]]
