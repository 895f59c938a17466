"""Markdown tables, intervals and counts for result pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from uniultra.metrics.intervals import Estimate

NOTHING = "–"  # noqa: RUF001  (a dash for "no such number")


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a bar in a cell is escaped."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(header), "|" + "---|" * len(header), *map(line, lines)])


def interval(found: Estimate | None, digits: int = 3) -> str:
    """`mean [low, high]`, the mean alone where there is no interval."""
    if found is None:
        return NOTHING
    mean = f"{found.mean:.{digits}f}"
    if found.low is None or found.high is None:
        return mean
    return f"{mean} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def millions(count: int) -> str:
    """A number of parameters: in millions, small ones in full."""
    return f"{count / 1e6:.2f} M" if count >= 1_000_000 else f"{count:,}"
