"""The sections Prompts and Model: tools, undo and redo, refinement, and the models that answer."""

from __future__ import annotations

from typing import Any

from ..draw.tools import TOOLS
from .look import model_look, prompts_look
from .section import Section


class PromptsPart(Section):
    """The buttons and combo boxes of both sections."""

    def __init__(self, panel: Any) -> None:
        super().__init__(panel)
        bind = self.binding.clicked
        for name in TOOLS:
            bind(name, lambda name=name: self.take(name))
        bind("undoButton", self.controller.undo)
        bind("redoButton", self.controller.redo)
        bind("clearButton", self.controller.clear)
        bind("refineButton", self.controller.refine)
        bind("autoButton", self.controller.auto_segment)
        bind("autoAllButton", lambda: self.controller.auto_segment(all_frames=True))
        self.binding.picked("modelCombo", self.controller.set_model)
        self.binding.picked("autoCombo", self.controller.set_auto_model)

    def take(self, tool: str) -> None:
        """Switch to a tool, or put it down; Slicer's own effect is always put down."""
        self.ui.segmentEditor.setActiveEffect(None)
        self.session.tools.toggle(tool)
        self.update()

    def update(self) -> None:
        """Show the available tools and models."""
        state = self.controller.state
        self.binding.show({**prompts_look(state, self.session.tools.current), **model_look(state)})
        self.binding.items("modelCombo", [(name, name) for name in state.models], state.model or "")
        self.binding.items("autoCombo", [(name, name) for name in state.auto_models], state.auto_model or "")
        for name in TOOLS:
            getattr(self.ui, name).checked = self.session.tools.current == name
