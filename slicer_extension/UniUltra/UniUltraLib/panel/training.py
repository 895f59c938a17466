"""Training on the campaign's labels, on the server, with its curve."""

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
        self._painted: Any = None
        self.binding.clicked("trainButton", self.training.start)
        self.binding.clicked("stopTrainingButton", self.training.stop)
        self.ui.trainingSection.connect("contentsCollapsed(bool)", lambda *_: self.training.seen())
        self.ui.trainCombo.connect("activated(int)", lambda *_: self.choose())

    def choose(self) -> None:
        """Another model is to be adapted."""
        self.training.set_model(self.binding.chosen("trainCombo"))

    def update(self) -> None:
        """Show how far it is."""
        state = self.training.state
        self.binding.show(training_look(self.controller.state, state))
        self.binding.items("trainCombo", [(name, name) for name in state.models], state.model)
        points = tuple(training_points(state))
        width = max(self.ui.trainingSection.width - 30, 160)
        palette = self.ui.curveLabel.palette
        text = palette.color(qt.QPalette.WindowText)
        now = (width, points, text.name())
        if points and now != self._painted:
            self._painted = now
            self.ui.curveLabel.setPixmap(curve(width, points, text, self.ui.curveLabel.font))
