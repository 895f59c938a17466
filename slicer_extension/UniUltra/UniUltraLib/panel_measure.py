"""Measurements of accepted masks: the table, the lines in the view, CSV. Research use, not for diagnosis."""

from __future__ import annotations

from typing import Any, Optional

import qt
import slicer

from .measure_rows import write_csv
from .measuring import DIASTOLE, KINDS, SYSTOLE
from .panel_lines import MeasuredLines
from .panel_local_look import MEASURED, measure_look, measure_rows
from .panel_table import fill
from .state import Problem


class MeasurePart:
    """The section Measurements."""

    def __init__(self, panel: Any) -> None:
        self.panel, self.ui = panel, panel.ui
        self.session, self.controller = panel.session, panel.session.controller
        self.measuring = panel.session.measuring
        self._lines = MeasuredLines(self.session.scene)
        self._rows: Any = None
        panel.binding.items("measureCombo", list(KINDS), KINDS[0][0])
        self.ui.measureCombo.connect("activated(int)", lambda *_: self.update())
        bind = panel.binding.clicked
        bind("measureButton", self.measure)
        bind("diastoleButton", lambda: self.measuring.mark(DIASTOLE, self.annulus()))
        bind("systoleButton", lambda: self.measuring.mark(SYSTOLE, self.annulus()))
        bind("forgetMarksButton", self.measuring.forget_marks)
        bind("exportButton", self.export)

    def measure(self) -> None:
        """Measure the chosen structure on the shown picture."""
        self.measuring.measure(self.panel.binding.chosen("measureCombo"), self.annulus())

    def annulus(self) -> Optional[Any]:
        """The ends of the chosen line in pixels (x,y) of the shown picture; None to have them found."""
        node, shown = self.ui.annulusSelector.currentNode(), self.controller.state.shown
        if node is None or shown is None or node.GetNumberOfControlPoints() < 2:
            return None
        ends = [node.GetNthControlPointPositionWorld(n) for n in (0, 1)]
        first, last = (shown.plane.to_xy(ijk) for ijk in self.session.scene.to_ijk(shown, ends))
        return first, last

    def export(self) -> None:
        """Save the table as CSV."""
        window = slicer.util.mainWindow()
        name = qt.QFileDialog.getSaveFileName(
            window, "Export measurements", "measurements.csv", "CSV (*.csv)"
        )
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
        self.panel.binding.show(measure_look(state, measuring, self.panel.binding.chosen("measureCombo")))
        self._lines.show(measuring.lines, state.shown)
        if measuring.rows != self._rows:
            self._rows = measuring.rows
            fill(self.ui.measureTable, MEASURED, measure_rows(measuring))
            self.ui.measureTable.scrollToBottom()
