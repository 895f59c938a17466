"""The prompt tools and their buttons: one tool in use at a time, in every slice view. No Qt."""

from __future__ import annotations

from typing import Any, Callable, List, Mapping, NamedTuple, Optional

from ..prompts.kinds import CLICK, PROMPT_KINDS


class Tool(NamedTuple):
    """A button that starts a prompt tool.

    Attributes:
        kind: the kind of prompt, a key of `PROMPT_KINDS`.
        positive: whether the prompts mark the structure, or what lies outside it.
        icon: a file of Resources/Icons.
        key: the shortcut, in the notation of `QKeySequence`.
        hint: what to do with the mouse.
    """

    kind: str
    positive: bool
    icon: str
    key: str
    hint: str


# Keys: the names of the buttons in the .ui file.
TOOLS: Mapping[str, Tool] = {
    "includeButton": Tool("point", True, "include.png", "D",
        "Click on the structure. Points can be dragged; Esc puts the tool down."),
    "excludeButton": Tool("point", False, "exclude.png", "Shift+D",
        "Click beside the structure, where the mask is wrong. Esc puts the tool down."),
    "boxButton": Tool("box", True, "box.png", "E",
        "Drag from one corner to the other. Esc puts the tool down."),
    "scribbleButton": Tool("scribble", True, "scribble.png", "S",
        "Paint over the structure with the left button. Esc puts the tool down."),
    "scribbleOutButton": Tool("scribble", False, "scribble_out.png", "Shift+S",
        "Paint where the mask is wrong with the left button. Esc puts the tool down."),
    "lassoButton": Tool("lasso", True, "lasso.png", "L",
        "Draw around the structure with the left button. Esc puts the tool down."),
}  # fmt: skip


class Tools:
    """Starts and stops Slicer's placing of points and the freehand capture.

    Args:
        place: starts placing points; called with whether they are positive.
        stop_placing: stops placing points.
        changed: called when the current tool changes.
    """

    def __init__(
        self, place: Callable[[bool], None], stop_placing: Callable[[], None], changed: Callable[[], None]
    ) -> None:
        self._place, self._stop_placing, self._changed = place, stop_placing, changed
        self._captures: List[Any] = []
        self.current: Optional[str] = None

    def use(self, captures: List[Any]) -> None:
        """Use these captures from now on, one for each slice view."""
        self.put_down()
        self._captures = captures

    def toggle(self, tool: str) -> None:
        """Switch to a tool, or put it down when it is the current one."""
        was = self.current
        self._stop()
        if tool != was:
            self.current, chosen = tool, TOOLS[tool]
            if PROMPT_KINDS[chosen.kind].gesture == CLICK:
                self._place(chosen.positive)
            else:
                for capture in self._captures:
                    capture.start(chosen.kind, chosen.positive)
        self._changed()

    def put_down(self) -> None:
        """Give the mouse back to Slicer."""
        if self.current is not None:
            self._stop()
            self._changed()

    def _stop(self) -> None:
        self.current = None
        self._stop_placing()
        for capture in self._captures:
            capture.stop()
