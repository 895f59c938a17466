"""Rows of the measurement table: what each says, and the CSV they are written to."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from shapes import ellipse, ventricle
from UniUltraLib.measure.calibration import Calibration
from UniUltraLib.measure.left_ventricle import ejection
from UniUltraLib.measure.left_ventricle import ventricle as left_ventricle
from UniUltraLib.measure.mask_measures import RESEARCH, measure
from UniUltraLib.measure.rows import COLUMNS, Origin, Row, rows_of, to_csv, write_csv

WHEN = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
KNOWN = Calibration((0.5, 0.25), "DICOM ultrasound region")


def head_rows() -> list[Row]:
    origin = Origin("head-1", "fetal head", 4, "uniultra_mini", "a-17", WHEN)
    return rows_of(measure(ellipse(50, 35, 0.5, 0.25), KNOWN, head=True), origin)


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_row_says_all_and_carries_the_mark() -> None:
    rows = head_rows()
    assert len(rows) == 7
    for row in rows:
        assert (row.image, row.frame, row.segment, row.adapter) == ("head-1", "4", "fetal head", "a-17")
        assert row.calibration == "0.25 x 0.5 mm per pixel (x, y), DICOM ultrasound region"
        assert row.date == "2026-11-21T09:30:00+00:00"
        assert row.use == RESEARCH == "Research use, not for diagnosis"
    assert rows[4].measurement == "head circumference"
    assert rows[4].unit == "mm"


def test_uncalibrated_rows_say_so() -> None:
    rows = rows_of(measure(ellipse(50, 35, 1, 1), Calibration(None, "none", "no scale.")), Origin("a", "b"))
    assert {row.calibration for row in rows} == {"uncalibrated: no scale."}
    assert {row.unit for row in rows} == {"px", "px²"}
    assert {row.adapter for row in rows} == {"none"}


def test_rows_of_a_heart_name_both_frames() -> None:
    large = left_ventricle(ventricle(45, 22, 18, 0.5, 0.25), KNOWN, 3)
    small = left_ventricle(ventricle(38, 16, 15, 0.5, 0.25), KNOWN, 11)
    origin = Origin("echo", "left ventricle")
    assert {row.frame for row in rows_of(large, origin)} == {"3"}
    assert {row.notes for row in rows_of(large, origin)} == {"annulus suggested"}
    rows = rows_of(ejection(large, small), origin)
    assert {row.frame for row in rows} == {"3 and 11"}
    assert rows[-1].measurement == "ejection fraction" and rows[-1].unit == "%"


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", '=HYPERLINK("http://x","y")', "\n@x", "-2+3"],
)
def test_no_cell_is_a_formula(text: str) -> None:
    row = replace(head_rows()[0], image=text, segment=text, notes=text, model=text, adapter=text)
    [cells] = read(to_csv([row]))
    for column in ("image", "segment", "notes", "model", "adapter"):
        assert cells[column].startswith("'")
        assert "\n" not in cells[column] and "\r" not in cells[column] and "\t" not in cells[column]


def test_numbers_stay_numbers_and_text_keeps_its_letters(tmp_path: Path) -> None:
    rows = [replace(head_rows()[0], segment='Schädel, "links"; 头', value=-12.3456789)]
    rows.append(replace(rows[0], value=float("nan")))
    file = write_csv(rows, tmp_path / "out.csv")
    content = file.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    first, second = read(content.decode("utf-8-sig"))
    assert list(first) == list(COLUMNS)
    assert first["segment"] == 'Schädel, "links"; 头'
    assert float(first["value"]) == -12.3457
    assert second["value"] == ""
    assert first["unit"] == "mm²"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_images_can_be_numbered_instead_of_named() -> None:
    rows = [replace(head_rows()[0], image=name) for name in ("doe_jane", "roe", "doe_jane")]
    assert [cells["image"] for cells in read(to_csv(rows))] == ["doe_jane", "roe", "doe_jane"]
    hidden = to_csv(rows, hide_images=True)
    assert [cells["image"] for cells in read(hidden)] == ["image 1", "image 2", "image 1"]
    assert "doe" not in hidden
    assert np.isfinite(float(read(hidden)[0]["value"]))
