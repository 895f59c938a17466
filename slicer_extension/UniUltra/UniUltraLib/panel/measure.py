"""The section Measurements: table, lines in the views, CSV export. Research use, not for diagnosis."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

import qt
import slicer

from ..control.state import Problem
from ..draw.marker_nodes import transient
from ..measure.measuring_task import DIASTOLE, KINDS, SYSTOLE
from ..measure.rows import write_csv
from .measure_look import MEASURED, measure_look, measure_rows
from .section import Section

# Light blue.
COLOUR = (0.35, 0.8, 1.0)


class MeasurePart(Section):
    """The section Measurements."""

    def __init__(self, panel: Any) -> None:
        super().__init__(panel)
        self.measuring = panel.session.measuring
        self._lines = MeasuredLines(self.session.scene)
        self.binding.items("measureCombo", list(KINDS), KINDS[0][0])
        self.binding.picked("measureCombo", lambda _: self.update())
        bind = self.binding.clicked
        bind("measureButton", self.measure)
        bind("diastoleButton", lambda: self.measuring.mark(DIASTOLE, self.annulus()))
        bind("systoleButton", lambda: self.measuring.mark(SYSTOLE, self.annulus()))
        bind("forgetMarksButton", self.measuring.forget_marks)
        bind("exportButton", self.export)

    def measure(self) -> None:
        """Measure the chosen structure on the shown picture."""
        self.measuring.measure(self.binding.chosen("measureCombo"), self.annulus())

    def annulus(self) -> Optional[Any]:
        """The ends of the chosen line in pixels (x,y) of the shown picture; None to have them suggested."""
        node, shown = self.ui.annulusSelector.currentNode(), self.controller.state.shown
        if node is None or shown is None or node.GetNumberOfControlPoints() < 2:
            return None
        ends = [node.GetNthControlPointPositionWorld(n) for n in (0, 1)]
        first, last = (shown.plane.to_xy(ijk) for ijk in self.session.scene.to_ijk(shown, ends))
        return first, last

    def export(self) -> None:
        """Save the table as CSV."""
        title, proposed, kinds = "Export measurements", "measurements.csv", "CSV (*.csv)"
        name = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, proposed, kinds)
        if not name:
            return
        try:
            write_csv(self.measuring.state.rows, name, hide_images=self.ui.hideImagesCheck.checked)
        except OSError:
            self.controller.tell(Problem("", "The table cannot be written there.", "Choose another folder."))
            return
        self.controller.notify("The measurements are saved.")

    def update(self) -> None:
        """Show the table, and the lines of the newest measurement while its picture is shown."""
        state, measuring = self.controller.state, self.measuring.state
        self.binding.show(measure_look(state, measuring, self.binding.chosen("measureCombo")))
        self._lines.show(measuring.lines, state.shown)
        if self.binding.table("measureTable", MEASURED, measure_rows(measuring)):
            self.ui.measureTable.scrollToBottom()


class MeasuredLines:
    """Line markups that are locked and not saved with the scene."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._nodes: List[Any] = []
        self._drawn: Tuple[Any, Any] = ((), None)

    def show(self, lines: Tuple[Any, ...], shown: Optional[Any]) -> None:
        """Show lines (ends in pixels) on the picture where they were measured, and hide them elsewhere."""
        drawn, place = self._drawn
        if lines == drawn:
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
        """Remove the lines from the scene."""
        for node in self._nodes:
            if node.GetScene() is not None:
                node.GetScene().RemoveNode(node)
        self._nodes, self._drawn = [], ((), None)

    def _line(self, line: Any, shown: Any) -> Any:
        node, display = transient(slicer.mrmlScene, "vtkMRMLMarkupsLineNode", "UniUltra axis")
        display.SetVisibility3D(True)
        for place in self._scene.to_world(shown, [shown.plane.to_ijk(x, y) for x, y in line]):
            node.AddControlPointWorld(*place)
        node.SetLocked(True)
        display.SetColor(*COLOUR)
        display.SetSelectedColor(*COLOUR)
        display.SetGlyphScale(1.6)
        display.SetPropertiesLabelVisibility(False)
        display.SetPointLabelsVisibility(False)
        return node
