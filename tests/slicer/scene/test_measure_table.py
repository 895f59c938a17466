"""Measurements in a scene of Slicer's own: whose calibration counts, and the table node."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from region_dicom import TWO_SIDES, write_dicom
from shapes import ellipse
from UniUltraLib.measure.calibration import Calibration
from UniUltraLib.measure.mask_measures import measure
from UniUltraLib.measure.rows import COLUMNS, Origin, Row, rows_of, to_csv
from UniUltraLib.prompts.planes import Plane

MASK = np.pad(np.ones((10, 10), bool), ((10, 40), (10, 80)))


def loaded(application: Any, file: Path, spacing: tuple[float, float, float], depth: int = 1) -> Any:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.zeros((depth, 60, 100), np.uint8))
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(file))
    return application.load(file)


@pytest.fixture
def table_module(scene: Any) -> Any:
    return importlib.import_module("UniUltraLib.scene.measure_table")


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz", ".mha"])
def test_the_spacing_of_a_file_counts_when_it_has_one(
    application: Any, table_module: Any, tmp_path: Path, ending: str
) -> None:
    volume = loaded(application, tmp_path / f"a{ending}", (0.25, 0.5, 2.0), 4)
    found = table_module.calibration_of(volume, kind="volume")
    assert found.at(MASK, Plane("k", 0)).spacing_mm == pytest.approx((0.5, 0.25))
    assert found.at(MASK, Plane("j", 0)).spacing_mm == pytest.approx((2.0, 0.25))
    still = loaded(application, tmp_path / f"b{ending}", (1.0, 1.0, 1.0))
    assert "1.0" in table_module.calibration_of(still, kind="still").at(MASK, Plane("k", 0)).problem


def test_a_volume_of_no_file_is_uncalibrated(table_module: Any) -> None:
    from slicer_harness import volume_node

    volume = volume_node(np.zeros((1, 60, 100), np.uint8), np.diag([0.2, 0.2, 1, 1]))
    found = table_module.calibration_of(volume, kind="still").at(MASK, Plane("k", 0))
    assert found.spacing_mm is None and "measure in pixels" in found.problem


@pytest.mark.parametrize("through", ["file", "database"])
def test_the_header_of_a_dicom_file_counts_not_the_node(
    application: Any, table_module: Any, tmp_path: Path, monkeypatch: Any, through: str
) -> None:
    import slicer
    from slicer_harness import volume_node

    grey = {"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "PixelRepresentation": 0}
    pixels = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelData": bytes(6000)}
    # Without an extension: DICOM is recognised by its prefix.
    file = write_dicom(tmp_path / "echo", TWO_SIDES, Rows=60, Columns=100, **grey, **pixels)
    sequence = None
    if through == "file":
        volume = application.load(file)
    else:
        volume = volume_node(np.zeros((1, 60, 100), np.uint8))
        sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "cine")
        sequence.SetAttribute("DICOM.instanceUIDs", "1.2.3 4.5.6")
        database = SimpleNamespace(fileForInstance={"1.2.3": str(file)}.get)
        monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    found = table_module.calibration_of(volume, kind="still", sequence=sequence)
    assert found.at(MASK, Plane("k", 0)).spacing_mm == pytest.approx((0.2, 0.1))


def rows_in(table: Any) -> list[Row]:
    """The rows that a table node holds."""
    columns = [table.GetTable().GetColumnByName(name) for name in COLUMNS]
    cells = [[column.GetVariantValue(n) for column in columns] for n in range(table.GetNumberOfRows())]
    return [Row(*(c.ToDouble() if n == 1 else c.ToString() for n, c in enumerate(row))) for row in cells]


def test_rows_of_the_table_survive_saving_and_loading(
    application: Any, scene: Any, table_module: Any, tmp_path: Path
) -> None:
    known = Calibration((0.5, 0.25), "server")
    rows = rows_of(measure(ellipse(50, 35, 0.5, 0.25), known, head=True), Origin("head-1", "=head", 4))
    table = table_module.measurement_table(scene)
    assert "not for diagnosis" in table.GetName()
    table_module.add_rows(table, rows[:3])
    table_module.add_rows(table_module.measurement_table(scene), rows[3:])
    assert scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 1
    assert table.GetNumberOfRows() == 7
    assert [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())] == list(COLUMNS)
    assert rows_in(table) == rows
    storage = table.CreateDefaultStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(tmp_path / "table.tsv"))
    table.SetAndObserveStorageNodeID(storage.GetID())
    assert storage.WriteData(table)
    again = scene.AddNewNodeByClass("vtkMRMLTableNode")
    assert storage.ReadData(again)
    assert to_csv(rows_in(again)) == to_csv(rows)


def test_another_table_is_left_alone(scene: Any, table_module: Any) -> None:
    other = scene.AddNewNodeByClass("vtkMRMLTableNode", "other")
    assert table_module.measurement_table(scene) is not other
