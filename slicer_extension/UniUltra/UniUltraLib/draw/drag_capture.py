"""Prompts drawn by dragging the left button in a slice view.

The interactor's events are taken before Slicer's own reaction to them (window/level, pan, scroll) and kept
from it while a tool is on; with Shift or Ctrl held they go to Slicer, so one can pan and zoom in between.
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Tuple

import numpy as np

from ..prompts.kinds import CLICK, CORNERS, PEN, PROMPT_KINDS
from ..prompts.shown import Edit
from ..scene.coordinates import array_of
from ..scene.observers import Observers
from .stroke_outline import StrokeOutline

PEN_WIDTH = 9.0

# Slicer's view style and its widgets observe with 0 to 10 or so.
_FIRST = 1000.0
_OTHERS = (
    "LeftButtonDoubleClickEvent", "MiddleButtonPressEvent", "RightButtonPressEvent",
    "MouseWheelForwardEvent", "MouseWheelBackwardEvent",
)  # fmt: skip
_CROSSHAIR, _ARROW = 10, 0
# A drag shorter than this, in pixels of the view, is a click that slipped.
_LEAST = 3.0


class Capture:
    """The drawing tools of one slice view.

    Args:
        interactor: the view's, `sliceWidget.sliceView().interactor()`.
        slice_node: the view's.
        on_stroke: is given every finished stroke, as an `Edit`.
        image: what is drawn on (`SlicerScene`): a stroke begins on it, in this view, and stays on it.
        on_cancel: called when Esc is pressed while nothing is being drawn: the tool is to be put away.
    """

    def __init__(
        self,
        interactor: Any,
        slice_node: Any,
        on_stroke: Callable[[Edit], None],
        image: Any = None,
        on_cancel: Optional[Callable[[], None]] = None,
    ) -> None:
        self._interactor = interactor
        self._slice_node = slice_node
        self._on_stroke, self._on_cancel = on_stroke, on_cancel
        self._image = image
        self._watch = Observers()
        self._outline: Optional[StrokeOutline] = None
        self._kind, self._gesture, self._positive, self._pen = "", "", True, PEN_WIDTH
        self._path: List[Tuple[float, float]] = []

    @property
    def active(self) -> bool:
        """Whether a tool is on."""
        return bool(self._kind)

    @property
    def drawing(self) -> bool:
        """Whether a stroke has begun and not ended."""
        return bool(self._path)

    def start(self, kind: str, positive: bool = True, pen: float = PEN_WIDTH) -> None:
        """Put a tool on, in place of the one that is; it stays on, stroke after stroke, until `stop`.

        Args:
            kind: of prompt, one that is drawn.
            pen: the pen's width in pixels of the view.

        Raises:
            ValueError: there is no such tool.
        """
        drawn = {name: known.gesture for name, known in PROMPT_KINDS.items() if known.gesture != CLICK}
        if kind not in drawn:
            raise ValueError(f"Expected one of {', '.join(drawn)}; got {kind!r}.")
        self.stop()
        self._kind, self._gesture = kind, drawn[kind]
        self._positive, self._pen = positive, max(float(pen), 1.0)
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
        """Put the tool away; a stroke that has begun is dropped."""
        self._watch.clear()
        self._kind, self._path = "", []
        if self._outline is not None:
            self._outline.remove()
            self._outline = None
            self._interactor.GetRenderWindow().SetCurrentCursor(_ARROW)
            self._interactor.Render()

    def cancel(self) -> bool:
        """Drop the stroke that has begun; whether there was one."""
        was_drawing, self._path = self.drawing, []
        if was_drawing and self._outline is not None:
            self._outline.hide()
            self._interactor.Render()
        return was_drawing

    # -- events: each tells whether Slicer must not see it ------------------------------------------------

    def _press(self) -> bool:
        if self._interactor.GetShiftKey() or self._interactor.GetControlKey():
            return False
        if self._image is not None:
            self._image.set_view(self._slice_node)
            self._image.pause()
        place = self._here()
        if place is not None and np.hypot(*np.subtract(place, self._interactor.GetEventPosition())) <= 1.0:
            self._path = [place]
            self._draw()
        # Beside the image nothing begins; window and level stay as they are all the same.
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
        if not self.cancel() and self._on_cancel is not None:
            self._on_cancel()
        return True

    def _other(self) -> bool:
        return self.drawing

    def _take(self, event: str, handler: Callable[[], bool]) -> None:
        def called(_caller: Any, _event: str) -> None:
            if handler():
                # Looked up by the tag at each event: the handler may have put the tool away.
                command = self._interactor.GetCommand(tag)
                if command is not None:
                    command.AbortFlagOn()

        tag = self._watch.add(self._interactor, event, called, _FIRST)

    # -- places -------------------------------------------------------------------------------------------

    def _here(self) -> Optional[Tuple[float, float]]:
        """The mouse in pixels of the view, drawn back onto the image; None when there is none."""
        x, y = self._interactor.GetEventPosition()
        if self._image is None:
            return float(x), float(y)
        held = self._image.clamp(self._world([(x, y)])[0])
        if held is None:
            return None
        to_xy = np.linalg.inv(array_of(self._slice_node.GetXYToRAS()))
        x, y = (to_xy @ [*held, 1.0])[:2]
        return float(x), float(y)

    def _world(self, xy: List[Tuple[float, float]]) -> np.ndarray:
        to_world = array_of(self._slice_node.GetXYToRAS())
        return np.array([to_world @ [x, y, 0.0, 1.0] for x, y in xy])[:, :3]

    def _stroke(self, path: List[Tuple[float, float]]) -> Edit:
        pixel = float(np.linalg.norm(array_of(self._slice_node.GetXYToRAS())[:3, 0]))
        width = self._pen * pixel if self._gesture == PEN else 0.0
        return Edit(self._kind, self._positive, self._world(path), width)

    def _draw(self) -> None:
        if self._outline is None:
            return
        path, width = self._path, self._pen if self._gesture == PEN else 2.0
        if self._gesture == CORNERS:
            (x0, y0), (x1, y1) = path[0], path[-1]
            path = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        self._outline.draw(path, self._gesture != PEN, width, self._positive)
        self._interactor.Render()
