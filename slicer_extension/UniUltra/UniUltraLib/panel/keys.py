"""The panel's keys: which button each presses, and the text that shows it on the button.

They keep clear of Slicer's: slice views (b f v r g t [ ] { } arrows), the segment editor (q w z y i, digits,
Esc, Space), its effects Draw (a x Return) and Paint (+ -), the sequence toolbar and markups (Ctrl+Shift+...).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Mapping, Tuple

from ..draw.tools import TOOLS


@dataclass(frozen=True)
class Key:
    """`button` is pressed by `sequence`, as `QKeySequence` writes it."""

    button: str
    sequence: str


KEYS: Tuple[Key, ...] = (
    *(Key(button, tool.key) for button, tool in TOOLS.items()),
    Key("undoButton", "Ctrl+Z"),
    Key("redoButton", "Ctrl+Shift+Z"),
    Key("clearButton", "Shift+C"),
    Key("refineButton", "C"),
    Key("autoButton", "U"),
    Key("previousFrameButton", ","),
    Key("nextFrameButton", "."),
    Key("doneCheck", "M"),
    Key("acceptButton", "K"),
    Key("submitButton", "Shift+K"),
    Key("nextButton", "N"),
)


def chosen(own: Mapping[str, str]) -> Dict[str, str]:
    """The sequence of each button: a person's own where there is one, else the default; "" is no key."""
    return {key.button: own.get(key.button, key.sequence) for key in KEYS}


def labelled(text: str, sequence: str) -> str:
    """A button's text with its key: `Accept (K)`."""
    return f"{text} ({sequence})" if sequence else text
