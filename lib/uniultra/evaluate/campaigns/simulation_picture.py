"""Dice over labels, a panel for each set, a line with its band for each strategy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uniultra.errors import RequestError
from uniultra.evaluate.campaigns.simulation_schema import Prompt, SetResult, Simulation

# Okabe and Ito's colours, told apart by people with any colour vision; styles tell apart what repeats.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLES = ("-", "--", ":", "-.")


def check_picture(path: Path) -> None:
    """Refuse before hours are spent what could not be drawn after them.

    Raises:
        RequestError: another ending than .svg or .png, or matplotlib is not installed.
    """
    if path.suffix not in (".svg", ".png"):
        raise RequestError("Expected a picture's name to end in .svg or .png. Name it so.")
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise RequestError("Drawing needs matplotlib; install it, or leave the picture out.") from None


def draw(found: Simulation, path: Path, prompt: Prompt = "click") -> None:
    """Draw the curves of all sets.

    Args:
        found: the results.
        path: `.svg` or `.png`.
        prompt: whose Dice.

    Raises:
        RequestError: see `check_picture`.
    """
    check_picture(path)
    import matplotlib
    from matplotlib.figure import Figure

    # The same results give the same file, so that a change in it means something; text stays text.
    with matplotlib.rc_context({"svg.hashsalt": "uniultra", "svg.fonttype": "none"}):
        figure = Figure(figsize=(4.2 * len(found.sets) + 1.8, 4.2), layout="constrained")
        panels = figure.subplots(1, len(found.sets), squeeze=False)[0]
        for axes, (name, one) in zip(panels, found.sets.items(), strict=True):
            _panel(axes, name, one, prompt)
        panels[0].set_ylabel("mean Dice, one click" if prompt == "click" else "mean Dice, tight box")
        lines, names = panels[0].get_legend_handles_labels()
        figure.legend(lines, names, loc="outside right upper", frameon=False, fontsize="small")
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150, metadata=metadata)


def _panel(axes: Any, name: str, one: SetResult, prompt: Prompt) -> None:
    for n, (strategy, result) in enumerate(one.strategies.items()):
        look: dict[str, Any] = {
            "color": _COLOURS[n % len(_COLOURS)],
            "linestyle": _STYLES[n // len(_COLOURS) % len(_STYLES)],
        }
        bands = result.curves[prompt].bands
        axes.plot(one.budgets, [band.mean for band in bands], marker=".", label=strategy, **look)
        if all(band.low is not None for band in bands):
            low, high = [band.low for band in bands], [band.high for band in bands]
            axes.fill_between(one.budgets, low, high, color=look["color"], alpha=0.12, linewidth=0)
    axes.axhline(one.full[prompt].mean, color="0.3", linewidth=1, label="all labels")
    axes.axhline(one.start[prompt], color="0.6", linewidth=1, linestyle=":", label="no label")
    axes.set(title=f"{name} ({one.pool} to choose from)", xlabel="labels")
    axes.set_xticks(one.budgets)
    axes.grid(alpha=0.3)
