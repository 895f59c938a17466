"""The line that follows the mouse while a prompt is drawn over a slice view."""

from __future__ import annotations

from typing import Any, List, Tuple

import vtk

POSITIVE, NEGATIVE = (0.2, 0.9, 0.35), (1.0, 0.3, 0.25)


class StrokeOutline:
    """A line on top of a render window, in its pixels; `remove` deletes it."""

    def __init__(self, renderer: Any) -> None:
        self._renderer = renderer
        self._shape = vtk.vtkPolyData()
        mapper = vtk.vtkPolyDataMapper2D()
        mapper.SetInputData(self._shape)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(mapper)
        self._actor.VisibilityOff()
        renderer.AddViewProp(self._actor)

    def draw(self, xy: List[Tuple[float, float]], closed: bool, width: float, positive: bool) -> None:
        """Draw a line through pixels, `width` pixels wide; translucent when it is wider than 2."""
        points, line = vtk.vtkPoints(), vtk.vtkCellArray()
        for x, y in xy:
            points.InsertNextPoint(x, y, 0.0)
        order = [n % len(xy) for n in range(len(xy) + int(closed))]
        line.InsertNextCell(len(order), order)
        self._shape.SetPoints(points)
        self._shape.SetLines(line)
        self._shape.Modified()
        look = self._actor.GetProperty()
        look.SetColor(*(POSITIVE if positive else NEGATIVE))
        look.SetLineWidth(width)
        look.SetOpacity(1.0 if width <= 2 else 0.55)
        self._actor.VisibilityOn()

    def hide(self) -> None:
        """Hide the line."""
        self._actor.VisibilityOff()

    def remove(self) -> None:
        """Delete the line."""
        self._renderer.RemoveViewProp(self._actor)
