"""The nodes that show prompts: two of points, three of drawn shapes, reused for every picture.

They are neither saved with the scene (the prompts are, with their segment), nor listed, nor undone by Slicer.
"""

from __future__ import annotations

from typing import Any, Iterable, List, Tuple

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from .stroke_outline import NEGATIVE, POSITIVE

OUTLINE = (0.35, 0.75, 1.0)


def new_points(scene: Any, positive: bool) -> Any:
    """A node of points: discs for positive, crosses for negative ones."""
    name = "UniUltra positive" if positive else "UniUltra negative"
    node, display = transient(scene, "vtkMRMLMarkupsFiducialNode", name)
    display.SetGlyphTypeFromString("Circle2D" if positive else "ThickCross2D")
    display.SetGlyphScale(3.0 if positive else 4.5)
    for paint in (display.SetColor, display.SetSelectedColor):
        paint(*(POSITIVE if positive else NEGATIVE))
    display.SetActiveColor(1.0, 1.0, 1.0)
    display.SetPointLabelsVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    return node


def new_shapes(scene: Any, name: str, colour: Iterable[float], opacity: float) -> Any:
    """A node of lines and areas that are projected onto the slice views."""
    node, display = transient(scene, "vtkMRMLModelNode", name)
    display.SetColor(*colour)
    display.SetSliceIntersectionOpacity(opacity)
    display.SetSliceIntersectionThickness(2)
    display.SetSliceDisplayModeToProjection()
    display.SetVisibility2D(True)
    return node


def set_lines(node: Any, loops: List[np.ndarray]) -> None:
    """Show closed lines through world positions, (N,3) each."""
    cells, first = vtk.vtkCellArray(), 0
    for loop in loops:
        cells.InsertNextCell(len(loop) + 1, [first + n for n in (*range(len(loop)), 0)])
        first += len(loop)
    shape = _shape(np.concatenate([np.zeros((0, 3)), *loops]))
    shape.SetLines(cells)
    node.SetAndObservePolyData(shape)


def set_areas(node: Any, quads: np.ndarray) -> None:
    """Show four-cornered areas, (N,4,3) world positions."""
    cells = vtk.vtkCellArray()
    for n in range(len(quads)):
        cells.InsertNextCell(4, range(4 * n, 4 * n + 4))
    shape = _shape(quads.reshape(-1, 3))
    shape.SetPolys(cells)
    node.SetAndObservePolyData(shape)


def run_quads(mask: np.ndarray) -> np.ndarray:
    """The horizontal runs of true pixels of a (rows, columns) mask as corners of rectangles, (N,4,2) xy."""
    padded = np.pad(np.asarray(mask, bool), ((0, 0), (1, 1))).astype(np.int8)
    steps = np.diff(padded, axis=1)
    rows, first = np.nonzero(steps == 1)
    last = np.nonzero(steps == -1)[1]
    x0, x1, y0, y1 = first - 0.5, last - 0.5, rows - 0.5, rows + 0.5
    return np.stack([np.c_[x0, y0], np.c_[x1, y0], np.c_[x1, y1], np.c_[x0, y1]], axis=1)


def _shape(corners: np.ndarray) -> Any:
    """Poly data of world positions (N,3)."""
    points, shape = vtk.vtkPoints(), vtk.vtkPolyData()
    corners = np.ascontiguousarray(corners, np.float64)
    points.SetData(numpy_to_vtk(corners, deep=1, array_type=vtk.VTK_DOUBLE))
    shape.SetPoints(points)
    return shape


def transient(scene: Any, class_name: str, name: str) -> Tuple[Any, Any]:
    """A node and its display node, for slice views only; neither saved, nor listed, nor undone by Slicer."""
    node = scene.AddNewNodeByClass(class_name, name)
    node.SetSaveWithScene(False)
    node.SetHideFromEditors(True)
    node.SetUndoEnabled(False)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetVisibility3D(False)
    return node, display
