"""Prompts drawn by dragging the left button in a slice view.

The interactor's events are handled before Slicer's own reaction to them (window/level, pan, scroll), which is
suppressed while a tool is on. With Shift or Ctrl held they go to Slicer, for panning and zooming in between.
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Tuple

import numpy as np

from ..prompts.kinds import CLICK, CORNERS, PEN, PROMPT_KINDS
from ..prompts.shown import Edit
from ..scene.coordinates import apply_matrix, array_of
from ..scene.observers import Observers
from .stroke_outline import StrokeOutline

PEN_WIDTH = 9.0  # pixels of the view

# Priority of our observers; those of Slicer's view style and widgets are about 0 to 10.
_FIRST = 1000.0
_OTHERS = (
    "LeftButtonDoubleClickEvent", "MiddleButtonPressEvent", "RightButtonPressEvent",
    "MouseWheelForwardEvent", "MouseWheelBackwardEvent",
)  # fmt: skip
_CROSSHAIR, _ARROW = 10, 0
# In pixels of the view: a shorter drag is a click.
_LEAST = 3.0


class Capture:
    """The drawing tools of one slice view.

    Args:
        interactor: the view's, `sliceWidget.sliceView().interactor()`.
        slice_node: the view's.
        scene: the `SlicerScene` whose image is drawn on: a stroke begins on the image, and stays on it.
        on_stroke: called with every finished stroke, as an `Edit`.
        on_cancel: called when Esc is pressed while nothing is being drawn: the tool is to be put away.
    """

    def __init__(
        self,
        interactor: Any,
        slice_node: Any,
        scene: Any,
        on_stroke: Callable[[Edit], None],
        on_cancel: Callable[[], None],
    ) -> None:
        self._interactor, self._slice_node, self._scene = interactor, slice_node, scene
        self._on_stroke, self._on_cancel = on_stroke, on_cancel
        self._watch = Observers()
        self._outline: Optional[StrokeOutline] = None
        self._kind, self._gesture, self._positive = "", "", True
        self._path: List[Tuple[float, float]] = []

    @property
    def active(self) -> bool:
        """Whether a tool is on."""
        return bool(self._kind)

    @property
    def drawing(self) -> bool:
        """Whether a stroke is being drawn."""
        return bool(self._path)

    def start(self, kind: str, positive: bool = True) -> None:
        """Switch to a tool, which stays on, stroke after stroke, until `stop`.

        Args:
            kind: a kind of prompt that is drawn, of `PROMPT_KINDS`.

        Raises:
            ValueError: this kind is unknown or is not drawn.
        """
        drawn = {name: entry.gesture for name, entry in PROMPT_KINDS.items() if entry.gesture != CLICK}
        if kind not in drawn:
            raise ValueError(f"Expected one of {', '.join(drawn)}; got {kind!r}.")
        self.stop()
        self._kind, self._gesture, self._positive = kind, drawn[kind], positive
        self._outline = StrokeOutline(self._interactor.GetRenderWindow().GetRenderers().GetFirstRenderer())
        handlers = {
            "LeftButtonPressEvent": self._press,
            "MouseMoveEvent": self._move,
            "LeftButtonReleaseEvent": self._release,
            "KeyPressEvent": self._key,
            **{event: self._other for event in _OTHERS},
        }
        for event, handler in handlers.items():
            self._take(event, handler)
        self._interactor.GetRenderWindow().SetCurrentCursor(_CROSSHAIR)

    def stop(self) -> None:
        """Put the tool away; an unfinished stroke is dropped."""
        self._watch.clear()
        self._kind, self._path = "", []
        if self._outline is not None:
            self._outline.remove()
            self._outline = None
            self._interactor.GetRenderWindow().SetCurrentCursor(_ARROW)
            self._interactor.Render()

    def cancel(self) -> bool:
        """Drop the unfinished stroke; returns whether there was one."""
        was_drawing, self._path = self.drawing, []
        if was_drawing and self._outline is not None:
            self._outline.hide()
            self._interactor.Render()
        return was_drawing

    # -- event handlers: each returns whether to hide the event from Slicer --------------------------------

    def _press(self) -> bool:
        if self._interactor.GetShiftKey() or self._interactor.GetControlKey():
            return False
        self._scene.set_view(self._slice_node)
        self._scene.pause()
        place = self._here()
        if place is not None and np.hypot(*np.subtract(place, self._interactor.GetEventPosition())) <= 1.0:
            self._path = [place]
            self._draw()
        # Outside the image no stroke begins, but window and level must not change either.
        return True

    def _move(self) -> bool:
        place = self._here() if self.drawing else None
        if place is not None and place != self._path[-1]:
            self._path.append(place)
            self._draw()
        return self.drawing

    def _release(self) -> bool:
        if not self.drawing:
            return False
        self._move()
        path, self._path = self._path, []
        if self._outline is not None:
            self._outline.hide()
        self._interactor.Render()
        spread = np.ptp(np.array(path), axis=0).max()
        if self._gesture == PEN or spread >= _LEAST:
            corners = [path[0], path[-1]] if self._gesture == CORNERS else path
            self._on_stroke(self._stroke(corners))
        return True

    def _key(self) -> bool:
        if self._interactor.GetKeySym() != "Escape":
            return self.drawing
        if not self.cancel():
            self._on_cancel()
        return True

    def _other(self) -> bool:
        return self.drawing

    def _take(self, event: str, handler: Callable[[], bool]) -> None:
        def callback(_caller: Any, _event: str) -> None:
            if handler():
                # Looked up at each event, because the handler may have removed the observer.
                command = self._interactor.GetCommand(tag)
                if command is not None:
                    command.AbortFlagOn()

        tag = self._watch.add(self._interactor, event, callback, _FIRST)

    # -- places -------------------------------------------------------------------------------------------

    def _here(self) -> Optional[Tuple[float, float]]:
        """The mouse in pixels (x,y) of the view, clamped to the image; None when no image is shown."""
        world = self._scene.clamp(self._world([self._interactor.GetEventPosition()])[0])
        if world is None:
            return None
        x, y = apply_matrix(np.linalg.inv(array_of(self._slice_node.GetXYToRAS())), world[None])[0, :2]
        return float(x), float(y)

    def _world(self, xy: List[Tuple[float, float]]) -> np.ndarray:
        return apply_matrix(array_of(self._slice_node.GetXYToRAS()), np.array([(x, y, 0.0) for x, y in xy]))

    def _stroke(self, path: List[Tuple[float, float]]) -> Edit:
        pixel = float(np.linalg.norm(array_of(self._slice_node.GetXYToRAS())[:3, 0]))
        width = PEN_WIDTH * pixel if self._gesture == PEN else 0.0
        return Edit(self._kind, self._positive, self._world(path), width)

    def _draw(self) -> None:
        if self._outline is None:
            return
        path, width = self._path, PEN_WIDTH if self._gesture == PEN else 2.0
        if self._gesture == CORNERS:
            (x0, y0), (x1, y1) = path[0], path[-1]
            path = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        self._outline.draw(path, self._gesture != PEN, width, self._positive)
        self._interactor.Render()
