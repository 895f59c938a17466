"""What the panel shows of a server on this computer, and of measurements. No Qt here, see `panel_look`."""

from __future__ import annotations

from html import escape
from typing import List, Tuple

from .local_control import ASKING, LocalControlState
from .local_server import RUNNING
from .measuring import VENTRICLE, MeasuringState
from .panel_look import Looks, offered
from .state import State

_SAID = {
    "stopped": "UniUltra's server runs in a Python environment of its own. It answers to this computer only.",
    "searching": "Looking for an environment that has UniUltra…",
    "asking": "",
    "making": "Making the environment. This takes minutes; Slicer stays usable.",
    "starting": "The server is starting…",
    "stopping": "The server is stopping…",
    "died": "The server has ended.",
}
MEASURED = ("Measurement", "Value", "Unit", "Structure", "Frame")


def local_look(state: LocalControlState, log: str) -> Looks:
    """The box Server on this computer."""
    said = f"The server runs at {state.address}." if state.kind == RUNNING else _SAID.get(state.kind, "")
    problem = state.problem
    if problem is not None:
        said = f"<b>{escape(problem.cause)}</b> {escape(problem.next_step)}".strip()
    idle = not state.busy and state.kind not in (RUNNING, ASKING, "stopping")
    return {
        "localServerLabel": {"text": said, "visible": bool(said)},
        **offered(["localServerButton"], state.kind != RUNNING, idle),
        **offered(["localStopButton"], state.busy or state.kind == RUNNING),
        **{name: {"enabled": idle} for name in ("studiesPath", "environmentPath")},
        **offered(["localQuestionFrame"], state.kind == ASKING),
        "localQuestionLabel": {"text": escape(state.question).replace("\n", "<br>")},
        "localLog": {"visible": bool(log)},
    }


def measure_look(state: State, measuring: MeasuringState, kind: str) -> Looks:
    """The section Measurements."""
    marks = [
        f"{name} frame {frame + 1}"
        for name, frame in (("ED", measuring.diastole), ("ES", measuring.systole))
        if frame is not None
    ]
    heart = kind == VENTRICLE
    cine = heart and state.shown is not None and state.shown.frame is not None
    text = measuring.text
    if not text and not measuring.can_measure:
        text = "Accept the mask first; only accepted masks are measured."
    return {
        "measureSection": {"visible": state.shown is not None},
        **offered(["measureButton", "measureCombo"], True, measuring.can_measure),
        **offered(["diastoleButton", "systoleButton"], cine, measuring.can_mark),
        **offered(["forgetMarksButton"], cine and bool(marks)),
        **offered(["annulusLabel", "annulusSelector"], heart, measuring.can_measure),
        "marksLabel": {"text": ", ".join(marks), "visible": cine and bool(marks)},
        "measureLabel": {"text": text, "visible": bool(text)},
        **offered(["exportButton", "hideImagesCheck"], bool(measuring.rows)),
        "measureTable": {"visible": bool(measuring.rows)},
    }


def measure_rows(measuring: MeasuringState) -> List[Tuple[str, ...]]:
    """The table."""
    return [
        (row.measurement, f"{row.value:.4g}", row.unit, row.segment, _frame(row.frame))
        for row in measuring.rows
    ]


def _frame(text: str) -> str:
    """Frames as people count them."""
    return " ".join(str(int(word) + 1) if word.isdigit() else word for word in text.split())
