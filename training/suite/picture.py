"""Figure of a results page: Dice against clicks, a line per system."""

from __future__ import annotations

from pathlib import Path

from suite.schema import SetSummary, Suite
from suite.tables import scored
from uniultra.errors import RequestError
from uniultra.evaluate import plots


def draw_clicks(suite: Suite, task: str, dataset: str, path: Path) -> bool:
    """Draw mean Dice after every click on one test set; prompt-free systems are horizontal lines.

    Args:
        suite: the results.
        task, dataset: the summaries to draw.
        path: `.svg` or `.png`.

    Returns:
        False, without writing a file, if no system has numbers to draw.

    Raises:
        RequestError: unknown task, unsupported file type, or matplotlib is not installed.
    """
    tasks = [described.name for described in suite.tasks]
    if task not in tasks:
        raise RequestError(f"Unknown task; expected one of {', '.join(tasks)}.")
    systems = scored(suite, task, dataset)
    most = max([2, *(len(summary.dice_by_click) for _, summary in systems)])
    curves = [curve for title, summary in systems if (curve := _curve(title, summary, most))]
    if not curves:
        return False
    ticks = [k for k in (1, 2, 3, 5, 10, 15, 20) if k <= most]
    panel = plots.Panel(f"{dataset}, adapted to {task}", "clicks", ticks, curves, limits=(0.7, most + 0.3))
    plots.draw([panel], path, "mean Dice", (7.5, 4.5))
    return True


def _curve(title: str, summary: SetSummary, most: int) -> plots.Curve | None:
    if summary.dice_by_click:
        return plots.Curve(title, range(1, len(summary.dice_by_click) + 1), summary.dice_by_click)
    if "none_largest" not in summary.prompts:
        return None
    level = summary.prompts["none_largest"].dice.mean
    return plots.Curve(f"{title} (no prompt)", (1, most), (level, level), marker=None)
