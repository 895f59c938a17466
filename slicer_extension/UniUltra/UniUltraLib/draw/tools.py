"""The prompt tools: one in hand at a time, in every slice view, from the button to the prompt. No Qt."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

# Button -> kind of prompt, and whether it says "this is it".
TOOLS: Dict[str, Tuple[str, bool]] = {
    "includeButton": ("point", True),
    "excludeButton": ("point", False),
    "boxButton": ("box", True),
    "scribbleButton": ("scribble", True),
    "scribbleOutButton": ("scribble", False),
    "lassoButton": ("lasso", True),
}


class Tools:
    """Starts and stops Slicer's placing of points and the freehand capture.

    Args:
        place: starts placing points, positive or not.
        stop_placing: ends that.
        changed: called when another tool is in hand, or none.
    """

    def __init__(
        self, place: Callable[[bool], None], stop_placing: Callable[[], None], changed: Callable[[], None]
    ) -> None:
        self._place, self._stop_placing, self._changed = place, stop_placing, changed
        self._captures: List[Any] = []
        self.current: Optional[str] = None

    def use(self, captures: List[Any]) -> None:
        """Draw with these from now on, one for each slice view."""
        self.put_down()
        self._captures = captures

    def toggle(self, tool: str) -> None:
        """Take a tool in hand, or put it down when it is."""
        was = self.current
        self._stop()
        if tool != was:
            kind, positive = TOOLS[tool]
            self.current = tool
            if kind == "point":
                self._place(positive)
            for capture in self._captures if kind != "point" else ():
                capture.start(kind, positive)
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
