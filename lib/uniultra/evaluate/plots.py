"""Curves as figures: a panel per set, a line per system or strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uniultra.errors import RequestError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, distinguishable with any colour vision; line styles tell repeated colours apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_STYLES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Curve:
    """A line of a panel; its index among the curves decides colour and style.

    Attributes:
        label: name in the legend.
        x, y: coordinates of the points.
        low, high: bounds of the band around the points; None draws no band.
        marker: matplotlib marker of the points; None draws none.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    marker: str | None = "."


@dataclass(frozen=True)
class Panel:
    """Curves over one axis.

    Attributes:
        levels: label, height, grey level and style of horizontal lines.
        limits: limits of the x axis.
    """

    title: str
    xlabel: str
    ticks: Sequence[float]
    curves: Sequence[Curve]
    levels: Sequence[tuple[str, float, str, str]] = ()
    limits: tuple[float, float] | None = None


def check_picture(path: Path) -> None:
    """Check before a long measurement that its figure can be drawn after it.

    Raises:
        RequestError: the name does not end in .svg or .png, or matplotlib is not installed.
    """
    if path.suffix not in (".svg", ".png"):
        raise RequestError("Expected a name ending in .svg or .png for the figure. Rename the file.")
    check_matplotlib()


def check_matplotlib() -> None:
    """Check that matplotlib is installed.

    Raises:
        RequestError: it is not.
    """
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise RequestError("Drawing needs matplotlib; install it, or leave the figures out.") from None


def draw(panels: Sequence[Panel], path: Path, ylabel: str, size: tuple[float, float]) -> None:
    """Draw panels side by side.

    Args:
        panels: from left to right; the legend names the curves of the first.
        path: `.svg` or `.png`.
        ylabel: label of the first panel's y axis.
        size: width and height of the figure, inches.

    Raises:
        RequestError: see `check_picture`.
    """
    check_picture(path)
    import matplotlib
    from matplotlib.figure import Figure

    # The same results give the same bytes, so that a diff means a change; text stays text.
    with matplotlib.rc_context({"svg.hashsalt": "uniultra", "svg.fonttype": "none"}):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for ax, panel in zip(axes, panels, strict=True):
            _draw(ax, panel)
        axes[0].set_ylabel(ylabel)
        lines, names = axes[0].get_legend_handles_labels()
        figure.legend(lines, names, loc="outside right upper", frameon=False, fontsize="small")
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150, metadata=metadata)


def _draw(axes: Axes, panel: Panel) -> None:
    for n, curve in enumerate(panel.curves):
        colour, style = _COLOURS[n % len(_COLOURS)], _STYLES[n // len(_COLOURS) % len(_STYLES)]
        look: dict[str, Any] = {"color": colour, "linestyle": style, "marker": curve.marker}
        axes.plot(curve.x, curve.y, label=curve.label, linewidth=None if curve.marker else 1, **look)
        if curve.low and curve.high:
            axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.12, linewidth=0)
    for label, height, grey, style in panel.levels:
        axes.axhline(height, color=grey, linewidth=1, linestyle=style, label=label)
    axes.set(title=panel.title, xlabel=panel.xlabel)
    if panel.limits:
        axes.set_xlim(*panel.limits)
    axes.set_xticks(panel.ticks)
    axes.grid(alpha=0.3)
