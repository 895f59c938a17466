"""The panel's shortcuts, which exist only while it is open."""

from __future__ import annotations

from typing import Any, Dict, List

import qt
import slicer

from ..draw.tools import TOOLS
from .keys import KEYS, chosen, labelled


class Shortcuts:
    """Shortcuts that press the panel's buttons, wherever in Slicer's window the focus is."""

    def __init__(self, ui: Any, own: Dict[str, str]) -> None:
        self.sequences = chosen(own)
        self._buttons = {button: getattr(ui, button) for button in KEYS}
        self.made: List[Any] = []
        for name, button in self._buttons.items():
            button.text = labelled(button.text, self.sequences[name])

    def make(self) -> None:
        """Create the shortcuts."""
        self.remove()
        for name, button in self._buttons.items():
            sequence = self.sequences[name]
            if not sequence:
                continue
            shortcut = qt.QShortcut(slicer.util.mainWindow())
            shortcut.setKey(qt.QKeySequence(sequence))
            press = _press(button, name in TOOLS)
            shortcut.connect("activated()", press)
            # Where Slicer's own menu has the same key, Qt emits this signal instead.
            shortcut.connect("activatedAmbiguously()", press)
            self.made.append(shortcut)

    def remove(self) -> None:
        """Remove the shortcuts."""
        for shortcut in self.made:
            shortcut.setParent(None)
            shortcut.deleteLater()
        self.made = []


def _press(button: Any, is_tool: bool) -> Any:
    def press() -> None:
        # Hidden buttons are also disabled (see `look`), but those of folded sections work. A tool's key never
        # puts the tool down: it may be pressed again on the next frame.
        if button.enabled and not (is_tool and button.checked):
            button.click()

    return press
