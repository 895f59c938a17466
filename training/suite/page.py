"""Renders the results page: our tables, the papers' tables, and the differences between their methods."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from string import Template

from suite import tables
from suite.schema import Suite, Task
from uniultra.evaluate.markdown import interval, page, section

# The page's text and the papers' tables as printed; none of their numbers was measured here.
PAGE = Template(Path(__file__).with_name("page.md").read_text(encoding="utf-8"))


def render(suite: Suite, pictures: Mapping[tuple[str, str], str] | None = None) -> str:
    """The page as Markdown.

    Args:
        suite: the results.
        pictures: link to the figure of Dice against clicks (`suite.picture`) by (task, test set).
    """
    sides = sorted({system.image_size for system in suite.systems})
    data = dict.fromkeys(name for base in suite.bases for name in base.datasets)
    scenes = ", synthetic scenes" if any(base.scenes for base in suite.bases) else ""
    return PAGE.substitute(
        made=_made(suite),
        about_bases=_bases(suite),
        bases=tables.bases(suite),
        systems=tables.systems(suite),
        jitter=f"{100 * suite.protocol.jitter:.0f}",
        jitters=suite.protocol.jitters,
        stopping=_stopping(suite),
        tasks=page(part for task in suite.tasks for part in _task(suite, task, pictures or {})).rstrip(),
        here_start="our own bases: " + ", ".join(base.name for base in suite.bases),
        here_data=f"bases: {', '.join(data)}{scenes}; then {', '.join(task.name for task in suite.tasks)}",
        here_training=f"{suite.images_planned:,} images seen per run, see above",
        here_input=" and ".join(f"{side} px" for side in sides),
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
        parts += _set(suite, task.name, dataset)
        if (task.name, dataset) in pictures:
            parts.append(f"![Dice against clicks on {dataset}]({pictures[task.name, dataset]})")
    return [*parts, *section("### Differences", "", tables.comparisons(suite, task))]


def _set(suite: Suite, task: str, dataset: str) -> list[str]:
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
