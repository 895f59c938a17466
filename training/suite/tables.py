"""Markdown tables of our own results; empty strings if there is nothing to show."""

from __future__ import annotations

from collections.abc import Callable

from suite.protocol import PROMPTS
from suite.schema import THRESHOLDS, Base, PromptScore, SetSummary, Spent, Suite, SuiteSystem, Task
from uniultra.evaluate.markdown import NOTHING, interval, millions, table
from uniultra.metrics.intervals import Estimate

TITLES = {
    "click_1": "1 click",
    "click_3": "3 clicks",
    "click_5": "5 clicks",
    "box": "box",
    "box_jitter": "jittered box",
    "none": "no prompt, whole answer",
    "none_largest": "no prompt, largest component",
}
_ENDS = {"images": "", "clock": ", stopped by the clock", "early_stop": ", stopped early"}


def bases(suite: Suite) -> str:
    """Phase A: the training of each base."""
    lines = (
        (
            base.name,
            f"{base.image_size} px",
            millions(base.parameters),
            _sources(base),
            _seen(base.spent),
            hours(base.spent.seconds),
            base.note or "",
        )
        for base in suite.bases
    )
    return table(("base", "input", "parameters", "trained on", "images seen", "time", "note"), lines)


def systems(suite: Suite) -> str:
    """Size and cost of each system."""
    sizes = ("input", "parameters", "trained", "of it adapter")
    costs = ("GMAC picture / prompt", "ms picture / prompt")
    return table(("system", "on", "method", *sizes, *costs, "note"), map(_system, suite.systems))


def spent(suite: Suite, task: Task) -> str:
    """Phase B: the trainings of each system, one row per system."""
    lines = []
    for system in suite.systems:
        runs = [r for r in suite.runs if r.system == system.name and r.task == task.name]
        if runs:
            seen = ", ".join(dict.fromkeys(_seen(r.spent) for r in runs))
            seconds = ", ".join(hours(r.spent.seconds) for r in runs)
            lines.append((system.title, ", ".join(str(r.seed) for r in runs), seen, seconds))
    return table(("system", "seeds", "images seen per seed", "time per seed"), lines)


def by_prompt(suite: Suite, task: str, dataset: str, cell: Callable[[PromptScore], str | None]) -> str:
    """A row per system, a column per prompt that any of them takes."""
    lines = (
        (title, *(cell(summary.prompts[p]) if p in summary.prompts else None for p in PROMPTS))
        for title, summary in scored(suite, task, dataset)
    )
    return table(("system", *(TITLES[p] for p in PROMPTS)), lines, sparse=True)


def distance(score: PromptScore) -> str:
    """A cell of HD95: pixels, millimetres if known, and the number of answers without a distance."""
    text = interval(score.hd95_px, 1) or NOTHING
    text += f"; {interval(score.hd95_mm, 2)} mm" if score.hd95_mm else ""
    return text + (f" ({score.undefined} without)" if score.undefined else "")


def clicks(suite: Suite, task: str, dataset: str) -> str:
    """NoC and the fraction of objects that never reach the threshold, for runs of 20 clicks."""
    names = [str(threshold) for threshold in THRESHOLDS]
    lines = (
        (
            title,
            *(interval(summary.clicks[n].noc, 2) for n in names),
            *(f"{100 * summary.clicks[n].failed.mean:.0f} %" for n in names),
        )
        for title, summary in scored(suite, task, dataset)
        if summary.clicks
    )
    return table(("system", *(f"NoC@{n}" for n in names), *(f"never reach {n} %" for n in names)), lines)


def comparisons(suite: Suite, task: Task) -> str:
    """Paired differences between systems."""
    titles = {s.name: s.title for s in suite.systems}
    lines = (
        (
            c.dataset,
            TITLES.get(c.prompt, c.prompt),
            f"{c.metric} of {titles[c.system]} minus {titles[c.against]}",
            interval(c.difference),
            "yes" if _excludes_zero(c.difference) else "no",
        )
        for c in suite.comparisons
        if c.task == task.name
    )
    return table(("set", "prompt", "what", "difference", "interval excludes 0"), lines)


def scored(suite: Suite, task: str, dataset: str) -> list[tuple[str, SetSummary]]:
    """Titles and summaries of a test set: the bases before adaptation, then the systems in order."""
    rows = [
        (f"{base.name}, not adapted", score)
        for base in suite.bases
        for score in base.scores
        if score.dataset == dataset
    ]
    for system in suite.systems:
        for summary in suite.summaries:
            if (summary.system, summary.task) == (system.name, task):
                rows += [(system.title, s) for s in summary.scores if s.dataset == dataset]
    return rows


def hours(seconds: float) -> str:
    """A duration in readable units."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _excludes_zero(difference: Estimate) -> bool:
    low, high = difference.low, difference.high
    return low is not None and high is not None and (low > 0 or high < 0)


def _sources(base: Base) -> str:
    scenes = [f"{base.scenes:,} synthetic scenes"] if base.scenes else []
    return ", ".join([*base.datasets, *scenes]) or NOTHING


def _seen(spent: Spent) -> str:
    return f"{spent.images_seen:,}{_ENDS[spent.stopped_by]}"


def _system(system: SuiteSystem) -> tuple[str | None, ...]:
    work, pace = system.work, system.pace
    share = 100 * system.trained / system.parameters
    return (
        system.title,
        system.base,
        system.method,
        f"{system.image_size} px",
        millions(system.parameters),
        f"{millions(system.trained)} ({share:.1f} %)",
        millions(system.adapter) if system.adapter else None,
        f"{work.gmac_encode:.2f} / {work.gmac_decode:.2f}" if work else None,
        f"{1000 * pace.seconds_encode:.0f} / {1000 * pace.seconds_decode:.1f}" if pace else None,
        system.note or "",
    )
