"""Measuring what is looked at: whether it may be, by which calibration, and the rows it gives.

An accepted mask is measured as it was at the click. The image's own file is asked for a calibration first,
then the server, for an image of the campaign. Research use, not for diagnosis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from ..control.state import State
from ..errors import UniUltraLibError
from ..prompts.prompt_set import PromptSet
from ..prompts.shown import Shown
from .axes_ellipse import Line
from .calibration import ImageCalibration, uncalibrated
from .calibration_call import image_calibration
from .left_ventricle import Ventricle, ejection, ventricle
from .mask_measures import MeasureError, measure
from .rows import Origin, Row, rows_of

# What can be measured, with the words for it.
SHAPE, HEAD, VENTRICLE = "shape", "head", "ventricle"
KINDS: Tuple[Tuple[str, str], ...] = (
    (SHAPE, "Area, perimeter, axes"),
    (HEAD, "Head circumference"),
    (VENTRICLE, "Left ventricle (A4C)"),
)
DIASTOLE, SYSTOLE = "diastole", "systole"


@dataclass(frozen=True)
class MeasuringState:
    """What the panel shows.

    Attributes:
        can_measure: there is an accepted mask of the chosen segment on the shown picture.
        can_mark: the same, on a frame of a cine.
        rows: all rows measured since the start, the newest last.
        diastole, systole: the frames marked, of the shown image and chosen segment.
        lines: what was measured last, as lines to draw: ends in pixels (x,y) of its picture; none once the
            mask is another.
        text: what to say about the newest numbers, or why there are none.
    """

    can_measure: bool = False
    can_mark: bool = False
    rows: Tuple[Row, ...] = ()
    diastole: Optional[int] = None
    systole: Optional[int] = None
    lines: Tuple[Line, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class _Asked:
    """One click: the mask and what it belongs to, as they were then."""

    shown: Shown
    segment: str
    prompts: Optional[PromptSet]
    mask: np.ndarray
    origin: Origin
    then: Callable[[_Asked, ImageCalibration], List[Row]]


class MeasuringWork:
    """Measurements of the chosen segment.

    Args:
        controller: the panel's; its worker asks the server.
        scene: see `scene_side.SceneSide`.
        calibrate: what the file of the open image tells, given what is shown.
        keep: gets new rows, to put them into the scene's table.
    """

    def __init__(
        self,
        controller: Any,
        scene: Any,
        calibrate: Callable[[Shown], ImageCalibration],
        keep: Callable[[List[Row]], None],
    ) -> None:
        self.controller, self.scene = controller, scene
        self._calibrate, self._keep = calibrate, keep
        self._listeners: List[Callable[[MeasuringState], None]] = []
        self._rows: Tuple[Row, ...] = ()
        self._marks: Dict[Tuple[str, Optional[str]], Dict[str, Ventricle]] = {}  # by image and segment
        self._lines: Tuple[Line, ...] = ()
        self._text = ""
        self._measured: Optional[_Asked] = None
        self._offs = [
            controller.subscribe(self._panel_changed),
            scene.on("painted", self._painted),
            scene.on("closed", self._drop_lines),
        ]

    @property
    def state(self) -> MeasuringState:
        """What the panel shows now."""
        panel: State = self.controller.state
        shown, segment = panel.shown, panel.segment
        accepted = shown is not None and segment is not None and panel.done and not shown.oblique
        marks = self._marks.get((shown.key, segment), {}) if shown is not None else {}
        frames = {phase: found.frame for phase, found in marks.items()}
        return MeasuringState(
            can_measure=accepted,
            can_mark=accepted and shown is not None and shown.frame is not None,
            rows=self._rows,
            diastole=frames.get(DIASTOLE),
            systole=frames.get(SYSTOLE),
            lines=self._lines,
            text=self._text,
        )

    def subscribe(self, listener: Callable[[MeasuringState], None]) -> Callable[[], None]:
        """Have `listener(state)` called at every change; gives the function that ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def measure(self, kind: str, annulus: Optional[Line] = None) -> None:
        """Measure the chosen segment on the shown picture; `annulus` in pixels (x,y), of a ventricle."""

        def take(asked: _Asked, image: ImageCalibration) -> List[Row]:
            known = image.at(asked.mask, asked.shown.plane)
            if kind == VENTRICLE:
                return self._ventricle_rows(
                    asked, ventricle(asked.mask, known, asked.shown.plane.index, annulus)
                )
            found = measure(asked.mask, known, head=kind == HEAD)
            self._lines = (found.long_axis, found.short_axis)
            return rows_of(found, asked.origin)

        self._ask(take)

    def mark(self, phase: str, annulus: Optional[Line] = None) -> None:
        """Take the shown frame for end-diastole or end-systole; with both, the ejection fraction follows."""

        def take(asked: _Asked, image: ImageCalibration) -> List[Row]:
            if asked.shown.frame is None:
                raise MeasureError("End-diastole and end-systole are frames of a cine. Open a cine first.")
            known = image.at(asked.mask, asked.shown.plane)
            found = ventricle(asked.mask, known, asked.shown.frame, annulus)
            marks = {**self._marks.get((asked.shown.key, asked.segment), {}), phase: found}
            rows = self._ventricle_rows(asked, found)
            if len(marks) == 2:
                rows += rows_of(ejection(marks[DIASTOLE], marks[SYSTOLE]), asked.origin)
            self._marks[asked.shown.key, asked.segment] = marks
            return rows

        self._ask(take)

    def forget_marks(self) -> None:
        """Mark anew, in the shown image."""
        panel: State = self.controller.state
        if panel.shown is not None:
            self._marks.pop((panel.shown.key, panel.segment), None)
        self._changed()

    def close(self) -> None:
        """The panel goes."""
        for off in self._offs:
            if callable(off):
                off()
        self._listeners.clear()

    def _panel_changed(self, state: State) -> None:
        asked = self._measured
        if asked is not None and state.shown is not None and asked.segment == state.segment:
            here = (state.shown.key, state.shown.plane) == (asked.shown.key, asked.shown.plane)
            if here and (state.prompts != asked.prompts or not state.done):
                self._drop_lines()
        self._changed()

    def _painted(self, segment: str) -> None:
        if self._measured is not None and self._measured.segment == segment:
            self._drop_lines()

    def _drop_lines(self) -> None:
        self._lines, self._measured = (), None
        self._changed()

    def _ventricle_rows(self, asked: _Asked, found: Ventricle) -> List[Row]:
        self._lines = (found.annulus, found.axis)
        return rows_of(found, asked.origin)

    def _ask(self, then: Callable[[_Asked, ImageCalibration], List[Row]]) -> None:
        panel: State = self.controller.state
        shown, segment = panel.shown, panel.segment
        if not self.state.can_measure or shown is None or segment is None:
            self._tell(
                "Only an accepted mask is measured, on a plane of the image: accept this one first, and turn "
                "an oblique view straight."
            )
            return
        name = next((info.name for info in panel.segments if info.id == segment), segment)
        try:
            mask = np.array(self.scene.read(segment, shown), bool)
            local = self._calibrate(shown)
        except UniUltraLibError as error:
            self._tell(str(error))
            return
        origin = Origin(shown.key, name, shown.plane.index, panel.answered_by or "", panel.adapter)
        asked = _Asked(shown, segment, panel.prompts, mask, origin, then)
        image_id = shown.image_id
        if local.known or image_id is None or panel.connection == "offline":
            self._finish(asked, local)
            return
        self.controller.run(
            lambda client: image_calibration(client, image_id),
            lambda told: self._finish(asked, told if told.known else local),
            lambda _error: self._finish(asked, uncalibrated("the server did not tell; try again.")),
            what="Asking for the calibration",
        )

    def _finish(self, asked: _Asked, image: ImageCalibration) -> None:
        try:
            rows = asked.then(asked, image)
        except MeasureError as error:
            self._tell(str(error))
            return
        self._measured = asked
        self._rows += tuple(rows)
        self._keep(rows)
        parts = [text.rstrip(".") for text in (rows[-1].calibration, *rows[-1].notes.split("; ")) if text]
        self._tell(" ".join(f"{text[:1].upper()}{text[1:]}." for text in parts))

    def _tell(self, text: str) -> None:
        self._text = text
        self._changed()

    def _changed(self) -> None:
        state = self.state
        for listener in list(self._listeners):
            listener(state)
