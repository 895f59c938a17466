"""Look of the box Server on this computer. No Qt, see `look`."""

from __future__ import annotations

from html import escape

from ..local_server.server import ASKING, RUNNING, STOPPING, LocalServerState
from .look import Looks, line, offered

_TEXTS = {
    "stopped": "UniUltra's server runs in a Python environment of its own. It answers this computer only.",
    "searching": "Looking for an environment that has UniUltra…",
    "asking": "",
    "making": "Creating the environment. This takes minutes; Slicer stays usable.",
    "starting": "The server is starting…",
    "stopping": "The server is stopping…",
    "died": "The server has stopped unexpectedly.",
}


def local_look(state: LocalServerState, log: str, *, source: bool = False, card: bool = False) -> Looks:
    """The box Server on this computer.

    Args:
        source: the person must choose the project's folder, because the module is not part of it.
        card: libraries for an NVIDIA card are available.
    """
    text = f"The server runs at {state.address}." if state.kind == RUNNING else _TEXTS.get(state.kind, "")
    problem = state.problem
    if problem is not None:
        text = f"<b>{escape(problem.cause)}</b> {escape(problem.next_step)}".strip()
    idle = not state.busy and state.kind not in (RUNNING, ASKING, STOPPING)
    return {
        **line("localServerLabel", text),
        **offered(["localServerButton"], state.kind != RUNNING, idle),
        **offered(["localStopButton"], state.busy or state.kind == RUNNING),
        **{name: {"enabled": idle} for name in ("studiesPath", "environmentPath")},
        **offered(["sourceLabel", "sourcePath"], source, idle),
        **offered(["localGpuCheck"], card, idle),
        **offered(["localQuestionFrame"], state.kind == ASKING),
        # With an empty line at the end: Qt gives wrapped text in nested frames one line too few.
        "localQuestionLabel": {"text": escape(state.question + "\n\n").replace("\n", "<br>")},
        "localLog": {"visible": bool(log)},
    }
