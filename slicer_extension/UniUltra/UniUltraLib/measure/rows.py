"""The rows of the measurement table, and the table as a CSV file."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import List, Optional, Sequence, Tuple, Union

from .left_ventricle import Ejection, Ventricle
from .mask_measures import RESEARCH, Measured, Value

# What a spreadsheet takes for a formula at the beginning of a cell.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class Row:
    """One number with all that is needed to read it alone; every row carries the research mark.

    `image` is the campaign's id or the hash of the content, `frame` a frame or slice, or two of them.
    """

    measurement: str
    value: float
    unit: str
    image: str
    frame: str
    segment: str
    calibration: str
    notes: str
    model: str
    adapter: str
    date: str
    use: str = RESEARCH


COLUMNS: Tuple[str, ...] = tuple(field.name for field in fields(Row))


@dataclass(frozen=True)
class Origin:
    """What was measured: `image` is a campaign's id or a content hash, `adapter` what the mask came from."""

    image: str
    segment: str
    frame: int = 0
    model: str = ""
    adapter: Optional[str] = None
    date: Optional[datetime] = None


def rows_of(result: Union[Measured, Ventricle, Ejection], origin: Origin) -> List[Row]:
    """The rows of a result."""
    if isinstance(result, Ejection):
        frames = f"{result.diastole.frame} and {result.systole.frame}"
        part, notes = result.diastole.part, result.notes
    else:
        frames = str(result.frame if isinstance(result, Ventricle) else origin.frame)
        part, notes = result.part, result.part.notes
        if isinstance(result, Ventricle):
            notes += (f"annulus {result.annulus_by}",)
    date = origin.date or datetime.now().astimezone()

    def row(value: Value) -> Row:
        return Row(
            value.name,
            value.value,
            value.unit,
            origin.image,
            frames,
            origin.segment,
            part.calibration.text,
            "; ".join(notes),
            origin.model,
            origin.adapter or "none",
            date.isoformat(timespec="seconds"),
        )

    return [row(value) for value in result.values]


def to_csv(rows: Sequence[Row], *, hide_images: bool = False) -> str:
    """The rows as CSV with a heading, numbers to six significant digits with a point.

    A text that a spreadsheet would run as a formula gets an apostrophe before it. With `hide_images` the
    images are numbered instead of named: a campaign's ids are names of files, which may name a patient.
    """
    if hide_images:
        number = {name: n + 1 for n, name in enumerate(dict.fromkeys(row.image for row in rows))}
        rows = [replace(row, image=f"image {number[row.image]}") for row in rows]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(getattr(row, column)) for column in COLUMNS])
    return out.getvalue()


def write_csv(rows: Sequence[Row], file: Union[str, Path], *, hide_images: bool = False) -> Path:
    """Write `to_csv` as UTF-8, with the mark by which spreadsheets know it; whole or not at all."""
    target = Path(file)
    part = target.with_name(f"{target.name}.part")
    try:
        part.write_bytes(to_csv(rows, hide_images=hide_images).encode("utf-8-sig"))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def _cell(value: Union[str, float]) -> str:
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    text = "".join(c if c.isprintable() else " " for c in value)
    return f"'{text}" if value.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text
