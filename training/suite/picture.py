"""Dice against clicks, a line per system, as the picture of a results page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite.schema import Suite
from suite.tables import scored
from uniultra.errors import RequestError

# Okabe and Ito's colours, told apart by people with any colour vision; styles tell apart what repeats.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLES = ("-", "--", ":", "-.")


def draw_clicks(suite: Suite, task: str, dataset: str, path: Path) -> bool:
    """Draw mean Dice after every click of one test set, and prompt-free systems as level lines.

    Args:
        suite: the results.
        task, dataset: which of its summaries.
        path: `.svg` or `.png`.

    Returns:
        False, with nothing written, where no system has numbers to draw.

    Raises:
        RequestError: no such task, another ending, or matplotlib is not installed.
    """
    if path.suffix not in (".svg", ".png"):
        raise RequestError("Expected a picture's name to end in .svg or .png. Name it so.")
    found = next((t for t in suite.tasks if t.name == task), None)
    if found is None:
        raise RequestError(f"Unknown task; expected one of {', '.join(t.name for t in suite.tasks)}.")
    lines = [
        (title, score)
        for title, score in scored(suite, found, dataset)
        if score.dice_by_click or "none_largest" in score.prompts
    ]
    if not lines:
        return False
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise RequestError("Drawing needs matplotlib; install it, or make the page without it.") from None
    # The same results give the same file, so that a change in it means something; text stays text.
    with matplotlib.rc_context({"svg.hashsalt": "uniultra", "svg.fonttype": "none"}):
        figure = Figure(figsize=(7.5, 4.5), layout="constrained")
        axes = figure.add_subplot()
        most = max(max(len(s.dice_by_click) for _, s in lines), 2)
        for n, (title, score) in enumerate(lines):
            look: dict[str, Any] = {
                "color": _COLOURS[n % len(_COLOURS)],
                "linestyle": _STYLES[n // len(_COLOURS) % len(_STYLES)],
            }
            if score.dice_by_click:
                clicks = range(1, len(score.dice_by_click) + 1)
                axes.plot(clicks, score.dice_by_click, marker=".", label=title, **look)
            else:
                level = score.prompts["none_largest"].dice.mean
                axes.plot([1, most], [level, level], linewidth=1, label=f"{title} (no prompt)", **look)
        axes.set(
            xlabel="clicks", ylabel="mean Dice", title=f"{dataset}, adapted to {task}", xlim=(0.7, most + 0.3)
        )
        axes.set_xticks([k for k in (1, 2, 3, 5, 10, 15, 20) if k <= most])
        axes.grid(alpha=0.3)
        figure.legend(loc="outside right upper", frameon=False, fontsize="small")
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(path, dpi=150, metadata=metadata)
    return True
