"""What the accuracy benchmark is written down as: one JSON file, checked when it is read.

Shares, Dice and IoU are 0..1, lengths of time seconds, intervals `[low, high]` of 95 %.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from uniultra.evaluate.machine import Machine
from uniultra.metrics.calibration import IouCalibration
from uniultra.metrics.intervals import Estimate

COMPONENT_RULE = "largest 8-connected component of the label"
CLICKS = (1, 2, 3, 5, 10)
THRESHOLDS = (80, 85, 90)  # per cent of IoU, for NoC and NoF
OWN = "model"  # the measured model among the pictures' systems
Interval = tuple[float, float]
Overlap = Literal["dice", "nsd"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Protocol(_Frozen):
    """How pictures are asked and scored; every system is asked the same.

    Attributes:
        clicks: at most so many per object.
        until, at_least: clicking ends at this IoU, never before so many clicks.
        seeds: noisy boxes, scribbles and shaky clicks per object, each kind.
        box_jitter: share of the box's size by which each side may move.
        click_jitter: pixels by which a click may miss the centre; 0 asks no shaky clicks.
        tolerance: of the surface Dice of one-pixel lines, in pixels of the stored mask.
        scenes: generated pictures of the obedience test.
        seed: of all that is drawn.
    """

    clicks: int = Field(default=20, ge=10)
    until: float = 0.9
    at_least: int = 10
    seeds: int = Field(default=5, ge=1)
    box_jitter: float = 0.1
    click_jitter: float = 10.0
    tolerance: float = 2.0
    scenes: int = Field(default=60, ge=1)
    seed: int = 7


class PictureScore(_Frozen):
    """One picture and one system.

    Attributes:
        group: the patient, or the picture's own id where none is known.
        values: by key of `SetScore`; None where there is no distance, as one of two masks is empty.
        repeated: the same for what is asked once per seed.
        ious: IoU after each click.
        judged: by kind of prompt, pairs of predicted and true IoU.
        marked: for a prompt-free model on an empty label, whether it marked anything.
        seconds_image, seconds_prompt: encoding, and the median of decoding one prompt; None if not run.
    """

    dataset: str
    id: str
    group: str
    values: dict[str, float | None] = {}
    repeated: dict[str, tuple[float, ...]] = {}
    ious: tuple[float, ...] = ()
    judged: dict[str, tuple[tuple[float, float], ...]] = {}
    marked: bool | None = None
    seconds_image: float | None = None
    seconds_prompt: float | None = None


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


class Organs(_Frozen):
    """Means of several sets' means, every set weighing alike; sets of lines take no part."""

    sets: tuple[str, ...]
    means: dict[str, float]


class Model(_Frozen):
    """What was measured.

    Attributes:
        name: in the registry.
        sha256: of the weights.
        image_size: side of the input, pixels.
        trained_on: sets of the manifest that it was trained on, as its weights say; None: they do not.
    """

    name: str
    sha256: str | None
    image_size: int
    trained_on: tuple[str, ...] | None


class ObedienceScore(_Frozen):
    """The three tests of the prompt, and their limits; None where nothing could be asked."""

    values: dict[str, float | None]
    limits: dict[str, float]
    failures: tuple[str, ...]
    n_pictures: int
    n_scenes: int


class Jitter(_Frozen):
    """Overlap of clean prompts, of moved ones, and clean minus moved on the same pictures."""

    clean: Estimate
    jittered: Estimate
    difference: Estimate


class Cost(_Frozen):
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


class Alternative(_Frozen):
    """Another system on the same pictures.

    Attributes:
        differences: by set and key, the model's mean minus this one's on the same pictures, paired. A
            prompt-free system is compared by its one answer, component by component.
    """

    title: str
    model: Model | None
    sets: dict[str, SetScore]
    differences: dict[str, dict[str, Estimate]]
    cost: Cost


class Accuracy(_Frozen):
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
    model: Model
    protocol: Protocol
    component_rule: str = COMPONENT_RULE
    sets: dict[str, SetScore]
    organs: dict[str, Organs]
    obedience: ObedienceScore | None
    calibration: dict[str, IouCalibration]
    robustness: dict[str, dict[str, Jitter]]
    cost: Cost
    alternatives: dict[str, Alternative]
    missing: dict[str, str] = {}
    pictures: dict[str, list[PictureScore]]
