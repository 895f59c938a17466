"""Markdown for result pages: tables, intervals, counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from uniultra.metrics.intervals import Estimate

NOTHING = "–"  # noqa: RUF001  (a dash for "no such number")


def page(parts: Iterable[str]) -> str:
    """Headings, paragraphs and tables with blank lines between them; empty ones are left out."""
    return "\n\n".join(part for part in parts if part) + "\n"


def section(title: str, text: str, *tables: str) -> list[str]:
    """The parts of a section; none where none of its tables has a line."""
    return [title, text, *tables] if any(tables) else []


def table(header: Sequence[str], lines: Iterable[Sequence[str | None]], *, sparse: bool = False) -> str:
    """A Markdown table; a bar in a cell is escaped.

    Args:
        header: titles of the columns.
        lines: the cells of each line; None is written as a dash.
        sparse: leave out columns, but not the first, in which every cell is None.

    Returns:
        An empty string where there is no line or, of a sparse table, no column but the first.
    """
    cells = [*lines]
    filled = {n for line in cells for n, cell in enumerate(line) if cell is not None}
    shown = [n for n in range(len(header)) if n in filled or not (n and sparse)]
    if not cells or (sparse and len(shown) == 1):
        return ""

    def row(line: Sequence[str | None]) -> str:
        texts = (NOTHING if (cell := line[n]) is None else cell.replace("|", "\\|") for n in shown)
        return f"| {' | '.join(texts)} |"

    return "\n".join([row(header), "|" + "---|" * len(shown), *map(row, cells)])


def interval(estimate: Estimate | None, digits: int = 3) -> str | None:
    """`mean [low, high]`, the mean alone where there is no interval; None of nothing."""
    return bounded(estimate.mean, estimate.low, estimate.high, digits) if estimate else None


def bounded(mean: float, low: float | None, high: float | None, digits: int = 3) -> str:
    """`mean [low, high]`, the mean alone where there are no bounds."""
    if low is None or high is None:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def millions(count: int) -> str:
    """A number of parameters: in millions, small ones in full."""
    return f"{count / 1e6:.2f} M" if count >= 1_000_000 else f"{count:,}"
