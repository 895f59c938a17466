"""The panel: its sections, its timer, and what happens when it is shown or left."""

from __future__ import annotations

from typing import Any, Callable

import qt

from ..control.state import ONLINE
from ..draw.tools import TOOLS
from .binding import Binding
from .campaign import CampaignPart
from .connection import ConnectionPart
from .curve import DENSITY
from .frames import FramesPart
from .layout import Views
from .local import LocalServerPart
from .measure import MeasurePart
from .messages import MessagesPart
from .prompts import PromptsPart
from .review import ReviewPart
from .segments import SegmentsPart
from .shortcuts import Shortcuts
from .training import TrainingPart

# Milliseconds between polls; the second while the person waits for an answer.
POLL_MS, AWAITING_MS = 30, 10


class Panel:
    """Binds the widgets `ui` to the session of the logic.

    Args:
        resource: returns the path of a file in `Resources`.
    """

    def __init__(self, ui: Any, logic: Any, resource: Callable[[str], str]) -> None:
        self.ui, self.logic, self.session = ui, logic, logic.session
        self.settings = self.session.settings
        self.views = Views()
        self.binding = Binding(ui)
        self.shortcuts = Shortcuts(ui, self.settings.own_keys())
        self.binding.sequences = self.shortcuts.sequences
        self.timer = qt.QTimer()
        self.timer.connect("timeout()", self.session.poll)
        self.parts = [
            kind(self)
            for kind in (
                ConnectionPart,
                MessagesPart,
                CampaignPart,
                PromptsPart,
                SegmentsPart,
                FramesPart,
                ReviewPart,
                MeasurePart,
                TrainingPart,
                LocalServerPart,
            )
        ]
        self.segments = next(part for part in self.parts if isinstance(part, SegmentsPart))
        for name, icon in _ICONS.items():
            getattr(ui, name).icon = qt.QIcon(resource(f"Icons/{icon}"))
        for name, icon in _SIGNS.items():
            pixmap = qt.QPixmap(resource(f"Icons/{icon}"))
            pixmap.setDevicePixelRatio(DENSITY)
            getattr(ui, name).setPixmap(pixmap)
        self.session.on_change = self.update
        self.update()
        self.timer.start()

    def update(self) -> None:
        """Show the current state; poll more often while an answer is awaited."""
        for part in self.parts:
            part.update()
        state = self.session.controller.state
        awaiting = state.can_cancel and state.connection == ONLINE
        self.timer.setInterval(AWAITING_MS if awaiting else POLL_MS)

    def enter(self) -> None:
        """The panel is shown: create its shortcuts, and take prompts in the views."""
        self.look_through()
        self.views.watch(self.look_through)
        self.shortcuts.make()
        self.ui.segmentEditor.setupViewObservations()
        self.session.refresh()

    def look_through(self, *_: Any) -> None:
        """Take prompts in the current slice views."""
        self.session.look_through(self.views.slice_widgets())

    def exit(self) -> None:
        """Another module is shown: restore the mouse, the keys and the layout."""
        self.session.tools.put_down()
        self.shortcuts.remove()
        self.ui.segmentEditor.setActiveEffect(None)
        self.ui.segmentEditor.removeViewObservations()
        self.views.unwatch()
        self.views.restore()

    def close(self) -> None:
        """Slicer exits."""
        self.timer.stop()
        self.exit()
        self.session.on_change = lambda: None
        self.segments.forget_node()
        self.logic.close()


_ICONS = {
    **{button: tool.icon for button, tool in TOOLS.items()},
    "undoButton": "undo.png",
    "redoButton": "redo.png",
    "clearButton": "clear.png",
    "refineButton": "refine.png",
    "autoButton": "auto.png",
    "acceptButton": "accept.png",
    "nextButton": "next.png",
}
_SIGNS = {"problemIcon": "warning.png", "consentIcon": "question.png", "conflictIcon": "warning.png"}
