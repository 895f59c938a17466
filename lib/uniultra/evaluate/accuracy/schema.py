"""What the accuracy benchmark is written down as: one JSON file, checked when it is read.

Shares, Dice and IoU are 0..1, lengths of time seconds, intervals `[low, high]` of 95 %.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from uniultra.evaluate.machine import Machine
from uniultra.evaluate.records import EvaluationProtocol, MeasuredModel, Overlap, PictureScore, Record
from uniultra.metrics.calibration import IouCalibration
from uniultra.metrics.intervals import Estimate

COMPONENT_RULE = "largest 8-connected component of the label"
OWN = "model"  # the measured model among the pictures' systems
Interval = tuple[float, float]


class SetScore(BaseModel):
    """Means over one set; they stand beside these fields, each under its key, see docs/benchmark.md.

    Attributes:
        n: pictures with a label; n_empty: without.
        n_marked_empty: of a prompt-free model, pictures without a label on which it marked something.
        n_no_distance: box answers that are empty, and so are in no distance's mean.
        seen: whether the model was trained on pictures of this set; None where its weights do not say.
        overlap: `dice`, or `nsd` for sets of one-pixel lines.
        intervals: under the same keys.
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
    """Means of several sets' means, every set weighing alike; sets of lines take no part."""

    sets: tuple[str, ...]
    means: dict[str, float]


class ObedienceScore(Record):
    """The three tests of the prompt, and their limits; None where nothing could be asked."""

    values: dict[str, float | None]
    limits: dict[str, float]
    failures: tuple[str, ...]
    n_pictures: int
    n_scenes: int


class Jitter(Record):
    """Overlap of clean prompts, of moved ones, and clean minus moved on the same pictures."""

    clean: Estimate
    jittered: Estimate
    difference: Estimate


class Cost(Record):
    """What a picture and a prompt cost; of a method without a network only the time is known.

    Attributes:
        gmac_encode, gmac_decode: counted multiplications, in thousand millions.
        seconds_encode, seconds_decode: medians of the network alone.
        seconds_image, seconds_prompt: medians as asked here, with resizing and drawing.
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
        differences: by set and key, the model's mean minus this one's on the same pictures, paired. A
            prompt-free system is compared by its one answer, component by component.
    """

    title: str
    model: MeasuredModel | None
    sets: dict[str, SetScore]
    differences: dict[str, dict[str, Estimate]]
    cost: Cost


class Accuracy(Record):
    """Everything that the benchmark measured.

    Attributes:
        organs: `seen`, `unseen` and `unknown`, those that there are.
        missing: alternatives that could not be asked, and why.
        pictures: by system, `model` being the model itself.
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
    obedience: ObedienceScore | None
    calibration: dict[str, IouCalibration]
    robustness: dict[str, dict[str, Jitter]]
    cost: Cost
    alternatives: dict[str, Alternative]
    missing: dict[str, str] = Field(default_factory=dict)
    pictures: dict[str, list[PictureScore]]
