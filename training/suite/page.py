"""The page of a comparison: our tables, the papers' own beside them, and what differs between the two."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from suite import tables
from suite.papers import DIFFERENCES, REPORTED
from suite.schema import Suite, Task
from uniultra.evaluate.markdown import interval, page, section, table

_OPENING = """\
# All systems on the same data

Every system on one base starts from the same frozen network and is trained on the same pictures with the \
same planned number of images seen (its line says where the clock cut it short or its budget was reduced); \
all are scored on the same pictures with the same prompts. **It does not say how good the published models \
are**: the bases that systems start from are our own, trained from nothing on little open data. It says what \
each method adds to the same start. The papers' own tables stand at the end, with what differs.

Research use only."""

_READING = """\
- **Intervals** in brackets are 95 % bootstrap intervals over patients (pictures, where no patient is known) \
and seeds. They cover other patients and other seeds of the same kind; not other data sets, other training \
pictures or another machine. A few seeds give a narrow idea of their own spread. \
A difference between two systems is claimed only where its own paired interval excludes 0.
- **Clicks**: each on the pixel deepest inside the larger error (Euclidean), no pixel twice; the previous \
answer is given along to models that take masks. **NoC@85** is the number of clicks to an IoU of 85 %, at \
most 20; an object that never gets there counts 20 and is in the last columns.
- **Box**: the label's tight box, which flatters every model of this family. **Jittered box**: each side \
moved by up to {jitter:.0f} % of the box's size; {jitters} draws per object, the same for all systems.
- **Component rule**: models with prompts are asked for the largest 8-connected component of the label. A \
prompt-free model cannot know which is meant: its whole answer against the whole label, and its largest \
component against the label's largest, which is the column to compare.
- **Dice, IoU** are means per picture. **HD95** is Euclidean, in pixels of the stored picture, and in mm \
where the pixel pitch is known; an empty answer has none, and is counted in brackets ("without").
- Pictures with an empty label are in no mean.
- **GMAC**: multiply-accumulates of convolutions and matrix products, attention's included, for one picture \
and one prompt; **ms**: medians of the network alone, batch 1, on the machine named above."""


def render(suite: Suite, pictures: Mapping[tuple[str, str], str] | None = None) -> str:
    """The page as Markdown.

    Args:
        suite: the results.
        pictures: path of the picture of Dice against clicks as the page should link it, by (task, test
            set); see `suite.picture`.
    """
    return page(
        [
            _OPENING,
            _made(suite),
            "## The bases",
            _bases(suite),
            tables.bases(suite),
            "## The systems",
            tables.systems(suite),
            "## How to read the numbers",
            _READING.format(jitter=100 * suite.protocol.jitter, jitters=suite.protocol.jitters)
            + _stopping(suite),
            *(part for task in suite.tasks for part in _task(suite, task, pictures or {})),
            REPORTED,
            "## What differs, and why the numbers cannot be set side by side",
            table(("", "UniUltra", "SAMUS", "LG-MedSeg", "here"), _differences(suite)),
        ]
    )


def _bases(suite: Suite) -> str:
    text = (
        "Each was trained in full, then frozen; tables show it as it was before any system was added to it."
    )
    if any(not base.spent.images_seen for base in suite.bases):
        text += " One with no images seen is a published network, scored as it is; no system starts from it."
    return text


def _made(suite: Suite) -> str:
    machine = suite.machine
    device = f"{machine.accelerator}, " if machine.accelerator else ""
    cap = f", at most {tables.hours(suite.seconds_cap)} each" if suite.seconds_cap else ""
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    return (
        f"Made {suite.made}{f' from commit {suite.commit}' if suite.commit else ''} by `uniultra evaluate "
        f"--suite`. Planned: {suite.images_planned:,} images seen per run{cap}.\n\n"
        f"Machine: {device}{machine.processor}, {machine.threads} threads, {machine.system}; {versions}."
    )


def _stopping(suite: Suite) -> str:
    if suite.protocol.until is None:
        return ""
    return (
        f"\n- Clicking stops at an IoU of {100 * suite.protocol.until:.0f} % (never before the fifth click); "
        "what it ended with counts for the clicks that were not made."
    )


def _task(suite: Suite, task: Task, pictures: Mapping[tuple[str, str], str]) -> list[str]:
    parts = [
        f"## Adapted to {task.name}",
        f"{task.labelled} labelled pictures to train on, {task.tested} held back. {task.note or ''}".strip(),
        tables.spent(suite, task),
    ]
    for dataset in suite.scored(task.name):
        parts += _set(suite, task, dataset)
        if (task.name, dataset) in pictures:
            parts.append(f"![Dice against clicks on {dataset}]({pictures[task.name, dataset]})")
    return [*parts, *section("### Differences", "", tables.comparisons(suite, task))]


def _set(suite: Suite, task: Task, dataset: str) -> list[str]:
    systems = tables.scored(suite, task, dataset)
    empty = max(summary.n_empty for _, summary in systems)
    pictures = f"{max(summary.n for _, summary in systems)} pictures"
    by_prompt = partial(tables.by_prompt, suite, task, dataset)
    return [
        f"### Test set {dataset}",
        f"{pictures} (+{empty} with no label)." if empty else f"{pictures}.",
        *section("**Dice**", "", by_prompt(lambda score: interval(score.dice))),
        *section("**IoU**", "", by_prompt(lambda score: interval(score.iou))),
        *section("**HD95, px**", "", by_prompt(tables.distance)),
        *section("**Clicks needed**", "", tables.clicks(suite, task, dataset)),
        *(
            f"{title} marked something on {100 * summary.marked:.0f} % of the pictures with no label."
            for title, summary in systems
            if summary.marked is not None
        ),
    ]


def _differences(suite: Suite) -> list[tuple[str, ...]]:
    """The papers' ways with ours as the last column; every aspect of the papers gets one."""
    sides = " and ".join(f"{side} px" for side in sorted({s.image_size for s in suite.systems}))
    data = dict.fromkeys(name for base in suite.bases for name in base.datasets)
    scenes = ", synthetic scenes" if any(base.scenes for base in suite.bases) else ""
    here = {
        "start": "our own bases: " + ", ".join(base.name for base in suite.bases),
        "data": f"bases: {', '.join(data)}{scenes}; then {', '.join(task.name for task in suite.tasks)}",
        "training": f"{suite.images_planned:,} images seen per run, see above",
        "input": sides,
        "prompt when tested": "1, 3, 5 clicks by error region, tight and jittered box; none if none is taken",
        "Dice, IoU": "per picture at stored resolution, nothing added",
        "distance": "HD95, Euclidean, px at stored resolution and mm; missing ones counted",
        "best model chosen on": "never the test pictures",
    }
    return [(*line, here[line[0]]) for line in DIFFERENCES]
