"""Keyboard shortcuts: the key of each button, and the button's text with its key.

They avoid those of Slicer: slice views (b f v r g t [ ] { } arrows), the segment editor (q w z y i, digits,
Esc, Space), its effects Draw (a x Return) and Paint (+ -), the sequence toolbar and markups (Ctrl+Shift+...).
"""

from __future__ import annotations

from typing import Dict, Mapping

from ..draw.tools import TOOLS

# By button, in the notation of `QKeySequence`.
KEYS: Mapping[str, str] = {
    **{button: tool.key for button, tool in TOOLS.items()},
    "undoButton": "Ctrl+Z",
    "redoButton": "Ctrl+Shift+Z",
    "clearButton": "Shift+C",
    "refineButton": "C",
    "autoButton": "U",
    "previousFrameButton": ",",
    "nextFrameButton": ".",
    "doneCheck": "M",
    "acceptButton": "K",
    "submitButton": "Shift+K",
    "nextButton": "N",
}


def chosen(own: Mapping[str, str]) -> Dict[str, str]:
    """The shortcut of each button: the person's own, else the default; "" for none."""
    return {button: own.get(button, key) for button, key in KEYS.items()}


def labelled(text: str, sequence: str) -> str:
    """A button's text with its key: `Accept (K)`."""
    return f"{text} ({sequence})" if sequence else text
