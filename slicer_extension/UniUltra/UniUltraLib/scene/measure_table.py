"""Measurements in the scene: the calibration of its images, and the table node."""

from __future__ import annotations

from typing import Any, List

import slicer
import vtk

from ..measure.calibration import ImageCalibration, from_spacing, uncalibrated
from ..measure.calibration_dicom import from_dicom, is_dicom
from ..measure.mask_measures import RESEARCH
from ..measure.rows import COLUMNS, Row
from .open_volume import nodes_of

TABLE = "UniUltra measurements"
_MARK = "UniUltra.measurements"
# Formats whose spacing is in millimetres; that of pictures and videos is dots per inch, or missing.
_SPATIAL = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")
_INSTANCES = "DICOM.instanceUIDs"


def calibration_of(volume: Any, *, kind: str, sequence: Any = None) -> ImageCalibration:
    """The calibration in the file of a volume node.

    Of a DICOM file the header counts, not the node: Slicer sets 1 mm where it finds no calibration.

    Args:
        volume: the node; of a cine, that of a frame.
        kind: `still`, `cine` or `volume`.
        sequence: of a cine, the sequence of frames.
    """
    nodes = [node for node in (volume, sequence) if node is not None]
    files = [name for name in map(_file_name, nodes) if name]
    dicom = next((name for name in [*map(_instance_file, nodes), *files] if name and is_dicom(name)), None)
    if dicom:
        return from_dicom(dicom, volume=kind == "volume")
    if not any(name.lower().endswith(_SPATIAL) for name in files):
        return uncalibrated(
            "the image comes from no DICOM, NRRD, NIfTI or MetaImage file; measure in pixels."
        )
    return from_spacing(volume.GetSpacing(), volume=kind == "volume")


def measurement_table(scene: Any) -> Any:
    """The scene's table of measurements, created by the first call."""
    for node in nodes_of(scene, "vtkMRMLTableNode"):
        if node.GetAttribute(_MARK):
            return node
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", f"{TABLE} ({RESEARCH.lower()})")
    node.SetAttribute(_MARK, "1")
    node.SetLocked(True)
    for name in COLUMNS:
        column = vtk.vtkDoubleArray() if name == "value" else vtk.vtkStringArray()
        column.SetName(name)
        node.AddColumn(column)
    node.SetUseColumnTitleAsColumnHeader(True)
    return node


def add_rows(table: Any, rows: List[Row]) -> None:
    """Append rows to a table."""
    modifying = table.StartModify()
    try:
        for row in rows:
            at = table.AddEmptyRow()
            for name in COLUMNS:
                table.GetTable().GetColumnByName(name).SetValue(at, getattr(row, name))
        table.GetTable().Modified()
    finally:
        table.EndModify(modifying)


def _instance_file(node: Any) -> str:
    """The DICOM file from which Slicer's DICOM module loaded a node; empty for other nodes."""
    instances = (node.GetAttribute(_INSTANCES) or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    return str(database.fileForInstance(instances[0]) or "") if instances and database is not None else ""


def _file_name(node: Any) -> str:
    storage = node.GetStorageNode()
    return (storage.GetFullNameFromFileName() or "") if storage is not None else ""
