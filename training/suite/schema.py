"""What a comparison of systems is written down as: one JSON file, checked when it is read.

A base network is trained (phase A), frozen, and adapted by every system to a task it never saw (phase B),
once per seed. Lengths of time are seconds, shares are 0..1, counts are counted.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from uniultra.evaluate.machine import Machine
from uniultra.metrics.cost import Latency, Work
from uniultra.metrics.intervals import Estimate

Paper = Literal["uniultra", "samus", "autosamus", "lgmedseg", "baseline"]
Metric = Literal["dice", "iou", "hd95_px", "hd95_mm"]
# In the order of tables. `none_largest` is the answer of a prompt-free model by the promptable ones' rule.
PROMPTS = ("click_1", "click_3", "click_5", "box", "box_jitter", "none", "none_largest")
THRESHOLDS = (85, 90)  # per cent of IoU, for NoC and NoF


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Protocol(_Frozen):
    """How pictures are scored.

    Attributes:
        clicks: at most so many per object; NoC is given only with 20.
        until: clicking on an object stops at this IoU (never before the fifth click); None: never.
        jitters: jittered boxes per object, whose scores are averaged.
        jitter: share of the box's size by which each side may move.
        seed: of the jitter; every system gets the same boxes.
    """

    clicks: int = Field(default=20, ge=5)
    until: float | None = None
    jitters: int = Field(default=5, ge=0)
    jitter: float = 0.1
    seed: int = 7


class MaskScore(_Frozen):
    """One answer against the truth; HD95 is None where one of the two is empty or (mm) no pitch is known."""

    dice: float
    iou: float
    hd95_px: float | None
    hd95_mm: float | None


class PictureScore(_Frozen):
    """One test picture.

    Attributes:
        group: the patient, or the picture's own id where none is known.
        answers: by prompt, see PROMPTS; empty when the label is.
        ious: IoU after each click, ended early when all was right (or at `Protocol.until`).
        clicks: how many clicks were allowed.
        marked: for a prompt-free model on an empty label, whether it marked anything.
        seconds_image, seconds_prompt: encoding, and the median of decoding one prompt; None if not run.
    """

    dataset: str
    id: str
    group: str
    answers: dict[str, MaskScore] = {}
    ious: tuple[float, ...] = ()
    clicks: int = 0
    marked: bool | None = None
    seconds_image: float | None = None
    seconds_prompt: float | None = None


class PromptScore(_Frozen):
    """Means over a test set for one prompt; `undefined` answers have no HD95 and are left out of it."""

    dice: Estimate
    iou: Estimate
    hd95_px: Estimate | None
    hd95_mm: Estimate | None
    undefined: int


class ClickScore(_Frozen):
    """Clicks to an IoU threshold, and the share of objects that never reach it."""

    noc: Estimate
    failed: Estimate


class SetScore(_Frozen):
    """One test set, over one or several seeds.

    Attributes:
        n: pictures with a label; n_empty: without.
        prompts: by prompt, see PROMPTS.
        clicks: by threshold ("85", "90"), for 20 clicks.
        dice_by_click: mean Dice after 1, 2, 3, … clicks.
        marked: share of the empty pictures where a prompt-free model marked something.
        seconds_image, seconds_prompt: medians.
    """

    dataset: str
    n: int
    n_empty: int
    prompts: dict[str, PromptScore]
    clicks: dict[str, ClickScore] = {}
    dice_by_click: tuple[float, ...] = ()
    marked: float | None = None
    seconds_image: float | None = None
    seconds_prompt: float | None = None


class Spent(_Frozen):
    """What a training cost and why it ended."""

    images_seen: int
    seconds: float
    stopped_by: Literal["images", "clock", "early_stop"]


class Base(_Frozen):
    """A network trained in phase A; `scores` are its own, before any adaptation."""

    name: str
    image_size: int
    parameters: int
    datasets: tuple[str, ...]
    scenes: int
    seed: int
    spent: Spent
    scores: list[SetScore] = []
    note: str | None = None


class Task(_Frozen):
    """What phase B adapts to.

    Attributes:
        labelled: pictures to train on; tested: pictures held back.
        note: how they were divided.
    """

    name: str
    labelled: int
    tested: int
    note: str | None = None


class System(_Frozen):
    """A method on a base: what it adds, trains and costs."""

    name: str
    title: str
    paper: Paper
    base: str
    method: str
    prompts: tuple[str, ...]
    image_size: int
    parameters: int
    trained: int
    adapter: int
    work: Work | None = None
    pace: Latency | None = None
    note: str | None = None


class Run(_Frozen):
    """A system trained on a task with one seed; intervals are over pictures."""

    system: str
    task: str
    seed: int
    spent: Spent
    scores: list[SetScore]


class Summary(_Frozen):
    """All seeds of a system on a task; intervals are over pictures and seeds."""

    system: str
    task: str
    seeds: tuple[int, ...]
    scores: list[SetScore]


class Comparison(_Frozen):
    """A system minus another on the same pictures."""

    system: str
    against: str
    task: str
    dataset: str
    prompt: str
    metric: Metric
    difference: Estimate


class Suite(_Frozen):
    """Everything a page of results is made from."""

    schema_version: Literal[1] = 1
    made: str
    commit: str | None
    machine: Machine
    protocol: Protocol
    images_planned: int
    seconds_cap: float | None
    bases: list[Base]
    tasks: list[Task]
    systems: list[System]
    runs: list[Run]
    summaries: list[Summary]
    comparisons: list[Comparison] = []

    @model_validator(mode="after")
    def _names_exist(self) -> Suite:
        systems, tasks = {s.name for s in self.systems}, {t.name for t in self.tasks}
        results: list[Run | Summary | Comparison] = [*self.runs, *self.summaries, *self.comparisons]
        unknown = ({r.system for r in results} | {c.against for c in self.comparisons}) - systems
        unknown |= {r.task for r in results} - tasks
        unknown |= {s.base for s in self.systems} - {b.name for b in self.bases}
        if unknown:
            raise ValueError(f"names that nothing describes: {', '.join(sorted(unknown))}")
        return self
