"""The section Training: adaptation on the server with the campaign's labels, and its curve."""

from __future__ import annotations

from typing import Any

import qt

from .campaign_look import training_look, training_points
from .curve import curve
from .section import Section


class TrainingPart(Section):
    """The section Training."""

    def __init__(self, panel: Any) -> None:
        super().__init__(panel)
        self.training = panel.session.training
        self.binding.clicked("trainButton", self.training.start)
        self.binding.clicked("stopTrainingButton", self.training.stop)
        self.ui.trainingSection.connect("contentsCollapsed(bool)", lambda *_: self.training.seen())
        self.binding.picked("trainCombo", self.training.set_model)

    def update(self) -> None:
        """Show the progress and the curve."""
        state = self.training.state
        self.binding.show(training_look(self.controller.state, state))
        self.binding.items("trainCombo", [(name, name) for name in state.models], state.model)
        points = tuple(training_points(state))
        width = max(self.ui.trainingSection.width - 30, 160)
        text = self.ui.curveLabel.palette.color(qt.QPalette.WindowText)
        if points and self.changed("curve", (width, points, text.name())):
            self.ui.curveLabel.setPixmap(curve(width, points, text, self.ui.curveLabel.font))
