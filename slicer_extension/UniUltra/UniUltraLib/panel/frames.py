"""The section Frames: the frames of a cine, which of them are done, navigation, and accept."""

from __future__ import annotations

from typing import Any

from ..prompts.shown import CINE
from .curve import frame_strip
from .look import frames_look
from .section import Section


class FramesPart(Section):
    """The section Frames."""

    def __init__(self, panel: Any) -> None:
        super().__init__(panel)
        bind = self.binding.clicked
        bind("previousFrameButton", self.session.scene.previous_frame)
        bind("nextFrameButton", self.session.scene.next_frame)
        bind("acceptButton", self.controller.accept)
        bind("doneCheck", self.mark)

    def mark(self) -> None:
        """Mark the shown frame as done or not done."""
        self.binding.forget("doneCheck", "checked")
        self.controller.accept(self.ui.doneCheck.checked)

    def update(self) -> None:
        """Show the strip of frames."""
        state = self.controller.state
        self.binding.show(frames_look(state))
        shown = state.shown
        if shown is None or shown.kind != CINE:
            return
        width = max(self.ui.framesSection.width - 24, 120)
        strip = (width, shown.frames, tuple(sorted(state.done_frames)), shown.frame)
        if self.changed("strip", strip):
            self.ui.frameStrip.setPixmap(frame_strip(*strip))
