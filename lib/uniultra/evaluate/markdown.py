"""Markdown for result pages: tables, intervals, counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from uniultra.metrics.intervals import Estimate
from uniultra.metrics.learning_curves import Band

NOTHING = "–"  # noqa: RUF001  (a dash for a missing number)


def page(parts: Iterable[str]) -> str:
    """Headings, paragraphs and tables joined by blank lines; empty parts are left out."""
    return "\n\n".join(part for part in parts if part) + "\n"


def section(title: str, text: str, *tables: str) -> list[str]:
    """The parts of a section; an empty list if all its tables are empty."""
    return [title, text, *tables] if any(tables) else []


def table(header: Sequence[str], lines: Iterable[Sequence[str | None]], *, sparse: bool = False) -> str:
    """A Markdown table; bars in cells are escaped.

    Args:
        header: column titles.
        lines: the cells of each row; None is written as a dash.
        sparse: drop columns whose cells are all None; the first column always stays.

    Returns:
        The table; an empty string if it has no rows or, when sparse, no column besides the first.

    Example:
        >>> rows = [("mini", "0.91", None), ("a|b", "0.88", None)]
        >>> print(table(("model", "Dice", "IoU"), rows, sparse=True))
        | model | Dice |
        |---|---|
        | mini | 0.91 |
        | a\\|b | 0.88 |
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


def interval(estimate: Estimate | Band | None, digits: int = 3) -> str | None:
    """`mean [low, high]`, or the mean alone if it has no interval; None for None."""
    return bounded(estimate.mean, estimate.low, estimate.high, digits) if estimate else None


def bounded(mean: float, low: float | None, high: float | None, digits: int = 3) -> str:
    """`mean [low, high]`, or the mean alone if a bound is None."""
    if low is None or high is None:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def number(value: float | None, digits: int = 3) -> str:
    """A number with fixed digits; a dash for None."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def millions(count: int) -> str:
    """A parameter count: in millions, below one million in full."""
    return f"{count / 1e6:.2f} M" if count >= 1_000_000 else f"{count:,}"
