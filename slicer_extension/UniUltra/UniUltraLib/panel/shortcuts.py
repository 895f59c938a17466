"""The panel's keys while it is open: made by `enter()`, gone after `exit()`."""

from __future__ import annotations

from typing import Any, Dict, List

import qt
import slicer

from ..draw.tools import TOOLS
from .keys import KEYS, chosen, labelled


class Shortcuts:
    """Presses the panel's buttons from the keyboard, wherever in Slicer's window the focus is."""

    def __init__(self, ui: Any, own: Dict[str, str]) -> None:
        self.sequences = chosen(own)
        self._buttons = {button: getattr(ui, button) for button in KEYS}
        self.made: List[Any] = []
        for name, button in self._buttons.items():
            button.text = labelled(button.text, self.sequences[name])

    def make(self) -> None:
        """Listen."""
        self.remove()
        for name, button in self._buttons.items():
            sequence = self.sequences[name]
            if not sequence:
                continue
            shortcut = qt.QShortcut(slicer.util.mainWindow())
            shortcut.setKey(qt.QKeySequence(sequence))
            press = _press(button, name in TOOLS)
            shortcut.connect("activated()", press)
            # Where Slicer's own menu has the same key, Qt calls neither unless this is answered too.
            shortcut.connect("activatedAmbiguously()", press)
            self.made.append(shortcut)

    def remove(self) -> None:
        """Listen no longer; Slicer's own keys are as they were."""
        for shortcut in self.made:
            shortcut.setParent(None)
            shortcut.deleteLater()
        self.made = []


def _press(button: Any, is_tool: bool) -> Any:
    def press() -> None:
        # What is hidden is also disabled, see `panel_look`; a folded section's keys go on working. A tool's
        # key always takes it in hand: pressing it again on the next frame must not put it down.
        if button.enabled and not (is_tool and button.checked):
            button.click()

    return press
