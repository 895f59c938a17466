"""Look of the section Measurements. No Qt, see `look`."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from ..control.state import State
from ..measure.measuring_task import VENTRICLE, MeasuringState
from .look import Looks, line, offered

MEASURED = ("Measurement", "Value", "Unit", "Structure", "Frame")


def measure_look(state: State, measuring: MeasuringState, kind: str) -> Looks:
    """The section Measurements."""
    marked = measuring.diastole is not None or measuring.systole is not None
    heart = kind == VENTRICLE
    cine = heart and state.shown is not None and state.shown.frame is not None
    text = measuring.text
    if not text and not measuring.can_measure:
        text = "Accept the mask first; only accepted masks are measured."
    return {
        "measureSection": {"visible": state.shown is not None},
        **offered(["measureButton", "measureCombo"], True, measuring.can_measure),
        "diastoleButton": _mark("ED", measuring.diastole, cine, measuring.can_mark),
        "systoleButton": _mark("ES", measuring.systole, cine, measuring.can_mark),
        **offered(["forgetMarksButton"], cine and marked),
        **offered(["annulusLabel", "annulusSelector"], heart, measuring.can_measure),
        **line("measureLabel", text),
        **offered(["exportButton", "hideImagesCheck"], bool(measuring.rows)),
        "measureTable": {"visible": bool(measuring.rows)},
    }


def measure_rows(measuring: MeasuringState) -> List[Tuple[str, ...]]:
    """The rows of the table."""
    return [
        (row.measurement, _number(row.value), row.unit, row.segment, _frame(row.frame))
        for row in measuring.rows
    ]


def _mark(phase: str, frame: Optional[int], visible: bool, enabled: bool) -> Dict[str, Any]:
    text = f"Mark {phase}" if frame is None else f"{phase}: frame {frame + 1}"
    return {"visible": visible, "enabled": visible and enabled, "text": text}


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _frame(text: str) -> str:
    """Frame numbers counted from 1."""
    return " ".join(str(int(word) + 1) if word.isdigit() else word for word in text.split())
