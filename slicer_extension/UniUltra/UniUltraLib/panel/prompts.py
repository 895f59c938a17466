"""The prompt tools, undo and redo, and what else changes a mask; the models that answer."""

from __future__ import annotations

from typing import Any

from ..draw.tools import TOOLS
from .look import model_look, prompts_look
from .section import Section


class PromptsPart(Section):
    """Buttons of the sections Prompts and Model."""

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
        self.ui.modelCombo.connect("activated(int)", lambda *_: self.choose_model())
        self.ui.autoCombo.connect("activated(int)", lambda *_: self.choose_auto_model())

    def take(self, tool: str) -> None:
        """Take a tool in hand, or put it down; Slicer's own effect is put down first."""
        self.ui.segmentEditor.setActiveEffect(None)
        self.session.tools.toggle(tool)
        self.update()

    def choose_model(self) -> None:
        """Another model answers prompts."""
        self.controller.set_model(self.binding.chosen("modelCombo"))

    def choose_auto_model(self) -> None:
        """Another model segments without prompts."""
        self.controller.set_auto_model(self.binding.chosen("autoCombo"))

    def update(self) -> None:
        """Show what can be done."""
        state = self.controller.state
        self.binding.show(prompts_look(state, self.session.tools.current))
        self.binding.show(model_look(state))
        self.binding.items("modelCombo", [(name, name) for name in state.models], state.model or "")
        self.binding.items("autoCombo", [(name, name) for name in state.auto_models], state.auto_model or "")
        self._show_tool()

    def _show_tool(self) -> None:
        for name in TOOLS:
            button = getattr(self.ui, name)
            if button.checked != (self.session.tools.current == name):
                button.checked = self.session.tools.current == name
