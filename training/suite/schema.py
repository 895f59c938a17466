"""What a comparison of systems is written down as: one JSON file, checked when it is read.

A base network is trained (phase A), frozen, and adapted by every system to a task it never saw (phase B),
once per seed. Lengths of time are seconds, shares are 0..1, counts are counted.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from uniultra.evaluate.machine import Machine
from uniultra.evaluate.records import Record
from uniultra.metrics.cost import Latency, Work
from uniultra.metrics.intervals import Estimate

Paper = Literal["uniultra", "samus", "autosamus", "lgmedseg", "baseline"]
Metric = Literal["dice", "iou", "hd95_px", "hd95_mm"]
THRESHOLDS = (85, 90)  # per cent of IoU, for NoC and NoF


class SuiteProtocol(Record):
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


class PromptScore(Record):
    """Means over a test set for one prompt; `undefined` answers have no HD95 and are left out of it."""

    dice: Estimate
    iou: Estimate
    hd95_px: Estimate | None
    hd95_mm: Estimate | None
    undefined: int


class ClickScore(Record):
    """Clicks to an IoU threshold, and the share of objects that never reach it."""

    noc: Estimate
    failed: Estimate


class SetSummary(Record):
    """One test set, over one or several seeds.

    Attributes:
        n: pictures with a label; n_empty: without.
        prompts: by prompt, see `suite.protocol.PROMPTS`.
        clicks: by threshold ("85", "90"), for 20 clicks.
        dice_by_click: mean Dice after 1, 2, 3, … clicks.
        marked: share of the empty pictures where a prompt-free model marked something.
        seconds_image, seconds_prompt: medians.
    """

    dataset: str
    n: int
    n_empty: int
    prompts: dict[str, PromptScore]
    clicks: dict[str, ClickScore] = Field(default_factory=dict)
    dice_by_click: tuple[float, ...] = ()
    marked: float | None = None
    seconds_image: float | None = None
    seconds_prompt: float | None = None


class Spent(Record):
    """What a training cost and why it ended."""

    images_seen: int
    seconds: float
    stopped_by: Literal["images", "clock", "early_stop"]


class Base(Record):
    """A network trained in phase A; `scores` are its own, before any adaptation."""

    name: str
    image_size: int
    parameters: int
    datasets: tuple[str, ...]
    scenes: int
    seed: int
    spent: Spent
    scores: list[SetSummary] = Field(default_factory=list)
    note: str | None = None


class Task(Record):
    """What phase B adapts to.

    Attributes:
        labelled: pictures to train on; tested: pictures held back.
        note: how they were divided.
    """

    name: str
    labelled: int
    tested: int
    note: str | None = None


class SuiteSystem(Record):
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


class Run(Record):
    """A system trained on a task with one seed; intervals are over pictures."""

    system: str
    task: str
    seed: int
    spent: Spent
    scores: list[SetSummary]


class Summary(Record):
    """All seeds of a system on a task; intervals are over pictures and seeds."""

    system: str
    task: str
    seeds: tuple[int, ...]
    scores: list[SetSummary]


class Comparison(Record):
    """A system minus another on the same pictures."""

    system: str
    against: str
    task: str
    dataset: str
    prompt: str
    metric: Metric
    difference: Estimate


class Suite(Record):
    """Everything a page of results is made from."""

    schema_version: Literal[1] = 1
    made: str
    commit: str | None
    machine: Machine
    protocol: SuiteProtocol
    images_planned: int
    seconds_cap: float | None
    bases: list[Base]
    tasks: list[Task]
    systems: list[SuiteSystem]
    runs: list[Run]
    summaries: list[Summary]
    comparisons: list[Comparison] = Field(default_factory=list)

    def scored(self, task: str) -> tuple[str, ...]:
        """The test sets of a task: what was adapted to first, then what may have been forgotten."""
        scores = [score for summary in self.summaries if summary.task == task for score in summary.scores]
        names = dict.fromkeys(score.dataset for score in scores)
        return tuple(sorted(names, key=lambda name: name != task))

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
