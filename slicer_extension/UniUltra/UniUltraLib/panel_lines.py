"""The axes that were measured, drawn in the views as long as their picture is shown."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

import slicer

COLOUR = (0.35, 0.8, 1.0)


class MeasuredLines:
    """Line markups that nobody can drag; they are not saved with the scene."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._nodes: List[Any] = []
        self._drawn: Tuple[Any, Any] = ((), None)

    def show(self, lines: Tuple[Any, ...], shown: Optional[Any]) -> None:
        """Draw lines (ends in pixels of the picture) where they were measured, nothing elsewhere."""
        known, place = self._drawn
        if lines == known:
            visible = bool(lines) and shown is not None and (shown.key, shown.plane) == place
            for node in self._nodes:
                if node.GetScene() is not None and node.GetDisplayVisibility() != visible:
                    node.SetDisplayVisibility(visible)
            return
        self.clear()
        if shown is not None:
            self._drawn = (lines, (shown.key, shown.plane))
            self._nodes = [self._line(line, shown) for line in lines]

    def clear(self) -> None:
        """Take them out of the scene."""
        for node in self._nodes:
            if node.GetScene() is not None:
                node.GetScene().RemoveNode(node)
        self._nodes, self._drawn = [], ((), None)

    def _line(self, line: Any, shown: Any) -> Any:
        node = slicer.vtkMRMLMarkupsLineNode()
        node.SetName("UniUltra axis")
        node.SetSaveWithScene(False)
        node.SetHideFromEditors(True)
        node = slicer.mrmlScene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        for place in self._scene.to_world(shown, [shown.plane.to_ijk(x, y) for x, y in line]):
            node.AddControlPointWorld(*place)
        node.SetLocked(True)
        display = node.GetDisplayNode()
        display.SetColor(*COLOUR)
        display.SetSelectedColor(*COLOUR)
        display.SetGlyphScale(1.6)
        display.SetPropertiesLabelVisibility(False)
        display.SetPointLabelsVisibility(False)
        return node
