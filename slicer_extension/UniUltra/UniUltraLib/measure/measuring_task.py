"""Measures the accepted mask on the shown picture and adds rows to the table.

The mask is measured as it was at the click. The calibration comes from the image's own file or, for an image
of the campaign whose file has none, from the server. Research use, not for diagnosis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from ..control.observable import Observable
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

# Kinds of measurement and their labels in the panel.
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
        can_measure: the mask of the chosen segment on the shown picture is accepted.
        can_mark: the same, and the picture is a frame of a cine.
        rows: all rows measured since the start, the newest last.
        diastole, systole: the marked frames of the shown image and chosen segment.
        lines: the lines of the newest measurement, ends in pixels (x,y) of its picture; empty once the mask
            has changed.
        text: remarks on the newest numbers, or why there are none.
    """

    can_measure: bool = False
    can_mark: bool = False
    rows: Tuple[Row, ...] = ()
    diastole: Optional[int] = None
    systole: Optional[int] = None
    lines: Tuple[Line, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class _Request:
    """One click on Measure: the mask and its origin at the time of the click."""

    shown: Shown
    segment: str
    prompts: Optional[PromptSet]
    mask: np.ndarray
    origin: Origin
    then: Callable[[_Request, ImageCalibration], List[Row]]


class MeasuringWork(Observable[MeasuringState]):
    """Measurements of the chosen segment.

    Args:
        controller: the panel's controller, whose worker asks the server.
        scene: see `scene_protocol.SceneSide`.
        calibrate: returns the calibration in the file of the shown image.
        keep: called with new rows, to add them to the scene's table.
    """

    def __init__(
        self,
        controller: Any,
        scene: Any,
        calibrate: Callable[[Shown], ImageCalibration],
        keep: Callable[[List[Row]], None],
    ) -> None:
        super().__init__(MeasuringState())
        self.controller, self.scene = controller, scene
        self._calibrate, self._keep = calibrate, keep
        self._rows: Tuple[Row, ...] = ()
        self._marks: Dict[Tuple[str, Optional[str]], Dict[str, Ventricle]] = {}  # by image and segment
        self._lines: Tuple[Line, ...] = ()
        self._text = ""
        self._measured: Optional[_Request] = None
        self._sources = [
            controller.subscribe(self._panel_changed),
            scene.on("painted", self._painted),
            scene.on("closed", self._drop_lines),
        ]
        self._changed()

    def measure(self, kind: str, annulus: Optional[Line] = None) -> None:
        """Measure the chosen segment on the shown picture; `annulus` of a ventricle in pixels (x,y)."""

        def take(request: _Request, image: ImageCalibration) -> List[Row]:
            calibration = image.at(request.mask, request.shown.plane)
            if kind == VENTRICLE:
                cavity = ventricle(request.mask, calibration, request.shown.plane.index, annulus)
                return self._ventricle_rows(request, cavity)
            measured = measure(request.mask, calibration, head=kind == HEAD)
            self._lines = (measured.long_axis, measured.short_axis)
            return rows_of(measured, request.origin)

        self._request(take)

    def mark(self, phase: str, annulus: Optional[Line] = None) -> None:
        """Mark the shown frame as end-diastole or end-systole; with both, the ejection fraction follows."""

        def take(request: _Request, image: ImageCalibration) -> List[Row]:
            if request.shown.frame is None:
                raise MeasureError("End-diastole and end-systole are frames of a cine. Open a cine first.")
            calibration = image.at(request.mask, request.shown.plane)
            cavity = ventricle(request.mask, calibration, request.shown.frame, annulus)
            marks = {**self._marks.get((request.shown.key, request.segment), {}), phase: cavity}
            rows = self._ventricle_rows(request, cavity)
            if len(marks) == 2:
                rows += rows_of(ejection(marks[DIASTOLE], marks[SYSTOLE]), request.origin)
            self._marks[request.shown.key, request.segment] = marks
            return rows

        self._request(take)

    def forget_marks(self) -> None:
        """Remove both marks of the shown image."""
        panel: State = self.controller.state
        if panel.shown is not None:
            self._marks.pop((panel.shown.key, panel.segment), None)
        self._changed()

    def _panel_changed(self, state: State) -> None:
        request = self._measured
        if request is not None and state.shown is not None and request.segment == state.segment:
            here = (state.shown.key, state.shown.plane) == (request.shown.key, request.shown.plane)
            if here and (state.prompts != request.prompts or not state.done):
                self._drop_lines()
        self._changed()

    def _painted(self, segment: str) -> None:
        if self._measured is not None and self._measured.segment == segment:
            self._drop_lines()

    def _drop_lines(self) -> None:
        self._lines, self._measured = (), None
        self._changed()

    def _ventricle_rows(self, request: _Request, cavity: Ventricle) -> List[Row]:
        self._lines = (cavity.annulus, cavity.axis)
        return rows_of(cavity, request.origin)

    def _request(self, then: Callable[[_Request, ImageCalibration], List[Row]]) -> None:
        panel: State = self.controller.state
        shown, segment = panel.shown, panel.segment
        if not self.state.can_measure or shown is None or segment is None:
            self._report(
                "Only an accepted mask is measured, on a plane of the image: accept the mask first, and turn "
                "an oblique view straight."
            )
            return
        name = next((info.name for info in panel.segments if info.id == segment), segment)
        try:
            mask = np.array(self.scene.read(segment, shown), bool)
            local = self._calibrate(shown)
        except UniUltraLibError as error:
            self._report(str(error))
            return
        origin = Origin(shown.key, name, shown.plane.index, panel.answered_by or "", panel.adapter)
        request = _Request(shown, segment, panel.prompts, mask, origin, then)
        image_id = shown.image_id
        if local.calibrated or image_id is None or panel.connection == "offline":
            self._finish(request, local)
            return
        self.controller.run(
            lambda client: image_calibration(client, image_id),
            lambda remote: self._finish(request, remote if remote.calibrated else local),
            lambda _error: self._finish(request, uncalibrated("the server sent no calibration; try again.")),
            what="Asking for the calibration",
        )

    def _finish(self, request: _Request, image: ImageCalibration) -> None:
        try:
            rows = request.then(request, image)
        except MeasureError as error:
            self._report(str(error))
            return
        self._measured = request
        self._rows += tuple(rows)
        self._keep(rows)
        parts = [text.rstrip(".") for text in (rows[-1].calibration, *rows[-1].notes.split("; ")) if text]
        self._report(" ".join(f"{text[:1].upper()}{text[1:]}." for text in parts))

    def _report(self, text: str) -> None:
        self._text = text
        self._changed()

    def _changed(self) -> None:
        panel: State = self.controller.state
        shown, segment = panel.shown, panel.segment
        accepted = shown is not None and segment is not None and panel.done and not shown.oblique
        marks = self._marks.get((shown.key, segment), {}) if shown is not None else {}
        frames = {phase: marked.frame for phase, marked in marks.items()}
        self._publish(
            MeasuringState(
                can_measure=accepted,
                can_mark=accepted and shown is not None and shown.frame is not None,
                rows=self._rows,
                diastole=frames.get(DIASTOLE),
                systole=frames.get(SYSTOLE),
                lines=self._lines,
                text=self._text,
            )
        )
