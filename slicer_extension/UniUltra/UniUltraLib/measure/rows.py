"""Rows of the measurement table, and their export as CSV."""

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

# Spreadsheets take a cell that begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class Row:
    """A number with everything needed to interpret it on its own; every row carries the research note.

    `image` is the campaign's ID or a hash of the content, `frame` a frame or slice, or two of them.
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
    """The measured mask: its image, segment and frame, and what produced it.

    Attributes:
        image: the campaign's ID of the image, or a hash of its content.
        model, adapter: the model, and the adapter in it, that answered; "" and None for a painted mask.
        date: the time of the measurement; now when it is None.
    """

    image: str
    segment: str
    frame: int = 0
    model: str = ""
    adapter: Optional[str] = None
    date: Optional[datetime] = None


def rows_of(result: Union[Measured, Ventricle, Ejection], origin: Origin) -> List[Row]:
    """The table rows of a measurement."""
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

    Text that a spreadsheet would run as a formula is prefixed with an apostrophe. With `hide_images`, images
    are numbered instead of named: a campaign's IDs are file names, which may contain a patient's name.
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
    """Write `to_csv` atomically as UTF-8 with a byte-order mark, which spreadsheets need."""
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
