"""Looks: properties of widgets by name, as functions of the state. No Qt; `binding` writes them.

Widgets for what the server does not offer are hidden, and hidden ones are disabled, so that their keys do
nothing.
"""

from __future__ import annotations

from html import escape
from typing import Any, Dict, Iterable, Optional

from ..control.scene_protocol import planes_along
from ..control.state import AUTO, CONNECTING, LOST, OFFLINE, ONLINE, REFINE, State
from ..draw.tools import TOOLS
from ..prompts.shown import CINE

Looks = Dict[str, Dict[str, Any]]


def offered(names: Iterable[str], visible: bool, enabled: bool = True) -> Looks:
    """The same visibility for several widgets; hidden ones are disabled."""
    return {name: {"visible": visible, "enabled": visible and enabled} for name in names}


def line(name: str, text: str) -> Looks:
    """A label that is hidden while its text is empty."""
    return {name: {"text": text, "visible": bool(text)}}


def bar(name: str, visible: bool, progress: Optional[float]) -> Looks:
    """A progress bar; it only moves while the progress (0..1) is unknown."""
    if progress is None:
        return {name: {"visible": visible, "maximum": 0, "value": 0}}
    return {name: {"visible": visible, "maximum": 100, "value": round(100 * progress)}}


def where(state: State) -> str:
    """The server and the annotator in a few words."""
    host, annotator = _host(state), f" as {state.annotator}" if state.annotator else ""
    return {
        CONNECTING: f"Connecting to {host}",
        LOST: f"Connection to {host} lost. Your work is kept; trying again.",
        ONLINE: f"Connected to {host}{annotator}",
    }.get(state.connection, "Not connected")


def connection_look(state: State, tested: bool = False) -> Looks:
    """The section Connection; `tested` when the newest notice is the result of a test."""
    free = state.connection == OFFLINE
    return {
        **{name: {"enabled": free} for name in ("addressEdit", "annotatorEdit", "keyEdit", "keepKeyCheck")},
        "connectButton": {"enabled": free, "text": "Connect" if free else "Connected"},
        "connectionSection": {"text": "Connection" if free else f"Connection: {_host(state)}"},
        **offered(["disconnectButton"], not free),
        "testButton": {"enabled": state.connection != CONNECTING},
        **line("testLabel", state.notice if tested and state.problem is None else ""),
    }


def messages_look(state: State) -> Looks:
    """Status line, problem, question before an upload."""
    busy = state.busy and bool(state.busy_text)
    return {
        "stateLabel": {"text": f"{state.busy_text}…" if busy else where(state)},
        **bar("busyBar", state.busy, state.progress),
        **offered(["cancelButton"], state.busy, state.can_cancel),
        "problemFrame": {"visible": state.problem is not None},
        **offered(["problemRetryButton"], state.connection == LOST or state.waiting),
        "problemLabel": {"text": _problem(state)},
        **offered(["consentFrame"], state.needs_consent is not None),
        "consentLabel": {"text": _consent(state)},
    }


def _problem(state: State) -> str:
    problem = state.problem
    if problem is None:
        return ""
    parts = [f"<b>{escape(_sentence(problem.cause))}</b>"]
    if problem.next_step:
        parts.append(escape(_sentence(problem.next_step)))
    if problem.address:
        parts.append(f"<small>{escape(problem.address)}</small>")
    return "<br>".join(parts)


def _consent(state: State) -> str:
    question = state.needs_consent
    if question is None:
        return ""
    text = (
        f"<b>Send this image to {escape(question.address)}?</b><br>Its pixels and its geometry are sent; "
        "no DICOM header, no name of a person or file. The server keeps it for this session only."
    )
    return f"{text}<br><br>{escape(question.warning)}" if question.warning else text


def prompts_look(state: State, tool: Optional[str] = None) -> Looks:
    """The tools, and the other buttons that change a mask."""
    there = state.shown is not None
    usable = there and state.segment is not None
    many = state.shown is not None and planes_along(state.shown) > 1
    score = f"Quality {state.score:.2f}" if there and state.score is not None else ""
    looks: Looks = {
        **{name: {"visible": there} for name in ("promptSection", "segmentSection")},
        **offered(["refineButton"], there and REFINE in state.tools, usable),
        **offered(["autoButton"], there and AUTO in state.tools),
        **offered(["autoAllButton"], many and AUTO in state.tools),
        **offered(["undoButton"], there, state.can_undo),
        **offered(["redoButton"], there, state.can_redo),
        **offered(["clearButton"], there, usable and state.has_prompts),
        **line("scoreLabel", score),
        **line("hintLabel", hint_text(state, tool)),
    }
    for name, button in TOOLS.items():
        looks.update(offered([name], there and button.kind in state.tools))
    if score:
        hint = "The model's own estimate of the quality of this mask, from 0 to 1."
        looks["scoreLabel"]["toolTip"] = f"{hint} Answered by {answered_by(state)}."
    return looks


def hint_text(state: State, tool: Optional[str]) -> str:
    """How to use the current tool, or what the prompts wait for."""
    if state.shown is None:
        return ""
    if state.waiting and state.connection in (LOST, OFFLINE):
        return "Your prompts are kept and will be sent when the server answers again."
    return TOOLS[tool].hint if tool is not None else ""


def frames_look(state: State) -> Looks:
    """The frames of a cine."""
    shown = state.shown
    cine = shown is not None and shown.kind == CINE
    frame = shown.frame if cine and shown is not None and shown.frame is not None else 0
    count = shown.frames if shown is not None else 0
    text = f"Frame {frame + 1} of {count}" if cine else ""
    return {
        "framesSection": {"visible": cine, "text": f"Frames: {len(state.done_frames)} of {count} done"},
        **offered(["previousFrameButton"], cine, frame > 0),
        **offered(["nextFrameButton"], cine, frame < count - 1),
        "doneCheck": {"visible": cine, "enabled": cine, "checked": cine and state.done},
        "frameLabel": {"text": text},
    }


def model_look(state: State) -> Looks:
    """The models, and the one that answered."""
    online = state.connection in (ONLINE, LOST)
    return {
        "modelSection": {"visible": online},
        **offered(["modelLabel", "modelCombo"], bool(state.models), len(state.models) > 1),
        **offered(["autoLabel", "autoCombo"], bool(state.auto_models), len(state.auto_models) > 1),
        "adapterLabel": {"text": answered_by(state) or "nothing on this picture yet"},
    }


def answered_by(state: State) -> str:
    """The model and adapter that produced the newest mask here; empty without one."""
    adapter = f"adapter {state.adapter}" if state.adapter else "its own weights"
    return f"{state.answered_by}, {adapter}" if state.answered_by else ""


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _host(state: State) -> str:
    return state.address.partition("://")[2] or state.address
