"""The tables of our own numbers, as Markdown."""

from __future__ import annotations

from collections.abc import Callable

from suite.schema import PROMPTS, THRESHOLDS, Base, SetScore, Spent, Suite, System, Task
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
    """Phase A: what each base saw."""
    return table(
        ("base", "input", "parameters", "trained on", "images seen", "time", "note"),
        (
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
        ),
    )


def systems(suite: Suite) -> str:
    """What each system is and costs."""
    return table(
        (
            "system",
            "on",
            "method",
            "input",
            "parameters",
            "trained",
            "of it adapter",
            "GMAC picture / prompt",
            "ms picture / prompt",
            "note",
        ),
        ((*_system(one), one.note or "") for one in suite.systems),
    )


def spent(suite: Suite, task: Task) -> str:
    """Phase B: what each run saw, one line per system."""
    lines = []
    for system in suite.systems:
        runs = [r for r in suite.runs if r.system == system.name and r.task == task.name]
        if runs:
            seen = ", ".join(dict.fromkeys(_seen(r.spent) for r in runs))
            seconds = ", ".join(hours(r.spent.seconds) for r in runs)
            lines.append((system.title, ", ".join(str(r.seed) for r in runs), seen, seconds))
    return table(("system", "seeds", "images seen per seed", "time per seed"), lines)


def by_prompt(
    suite: Suite, task: Task, dataset: str, value: Callable[[SetScore, str], str | None]
) -> str | None:
    """A line per system, a column per prompt that any of them takes; None where nobody has a number."""
    found = [(title, [value(one, p) for p in PROMPTS]) for title, one in scored(suite, task, dataset)]
    shown = [n for n in range(len(PROMPTS)) if any(cells[n] is not None for _, cells in found)]
    if not shown:
        return None
    return table(
        ("system", *(TITLES[PROMPTS[n]] for n in shown)),
        ((title, *(cells[n] or NOTHING for n in shown)) for title, cells in found),
    )


def overlap(metric: str) -> Callable[[SetScore, str], str | None]:
    """Cells of Dice or IoU."""

    def cell(score: SetScore, prompt: str) -> str | None:
        found = score.prompts.get(prompt)
        return interval(getattr(found, metric)) if found else None

    return cell


def distance(score: SetScore, prompt: str) -> str | None:
    """Cells of HD95: pixels, millimetres where known, and how many answers have none."""
    found = score.prompts.get(prompt)
    if found is None:
        return None
    text = interval(found.hd95_px, 1)
    text += f"; {interval(found.hd95_mm, 2)} mm" if found.hd95_mm else ""
    return text + (f" ({found.undefined} without)" if found.undefined else "")


def clicks(suite: Suite, task: Task, dataset: str) -> str | None:
    """NoC and the share of objects that never reach it; None where nothing was clicked 20 times."""
    found = [(title, score) for title, score in scored(suite, task, dataset) if score.clicks]
    if not found:
        return None
    names = [str(threshold) for threshold in THRESHOLDS]
    return table(
        ("system", *(f"NoC@{n}" for n in names), *(f"never reach {n} %" for n in names)),
        (
            (
                title,
                *(interval(score.clicks[n].noc, 2) for n in names),
                *(f"{100 * score.clicks[n].failed.mean:.0f} %" for n in names),
            )
            for title, score in found
        ),
    )


def comparisons(suite: Suite, task: Task) -> str | None:
    """Differences between systems; None where none was asked for."""
    titles = {s.name: s.title for s in suite.systems}
    mine = [c for c in suite.comparisons if c.task == task.name]
    if not mine:
        return None
    return table(
        ("set", "prompt", "what", "difference", "interval excludes 0"),
        (
            (
                c.dataset,
                TITLES.get(c.prompt, c.prompt),
                f"{c.metric} of {titles[c.system]} minus {titles[c.against]}",
                interval(c.difference),
                "yes" if _apart(c.difference) else "no",
            )
            for c in mine
        ),
    )


def scored(suite: Suite, task: Task, dataset: str) -> list[tuple[str, SetScore]]:
    """Titles and summaries of a test set: the bases as they were before, then the systems in their order."""
    found = [
        (f"{base.name}, not adapted", score)
        for base in suite.bases
        for score in base.scores
        if score.dataset == dataset
    ]
    for system in suite.systems:
        for summary in suite.summaries:
            if (summary.system, summary.task) == (system.name, task.name):
                found += [(system.title, s) for s in summary.scores if s.dataset == dataset]
    return found


def hours(seconds: float) -> str:
    """A length of time for people."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _apart(found: Estimate) -> bool:
    return found.low is not None and found.high is not None and (found.low > 0 or found.high < 0)


def _sources(base: Base) -> str:
    scenes = [f"{base.scenes:,} synthetic scenes"] if base.scenes else []
    return ", ".join([*base.datasets, *scenes]) or NOTHING


def _seen(spent: Spent) -> str:
    return f"{spent.images_seen:,}{_ENDS[spent.stopped_by]}"


def _system(one: System) -> tuple[str, ...]:
    work, pace = one.work, one.pace
    share = 100 * one.trained / one.parameters
    return (
        one.title,
        one.base,
        one.method,
        f"{one.image_size} px",
        millions(one.parameters),
        f"{millions(one.trained)} ({share:.1f} %)",
        millions(one.adapter) if one.adapter else NOTHING,
        f"{work.gmac_encode:.2f} / {work.gmac_decode:.2f}" if work else NOTHING,
        f"{1000 * pace.seconds_encode:.0f} / {1000 * pace.seconds_decode:.1f}" if pace else NOTHING,
    )
