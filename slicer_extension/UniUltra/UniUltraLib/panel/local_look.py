"""What the panel shows of a server on this computer. No Qt here, see `panel_look`."""

from __future__ import annotations

from html import escape

from ..local_server.server import ASKING, RUNNING, STOPPING, LocalServerState
from .look import Looks, line, offered

_SAID = {
    "stopped": "UniUltra's server runs in a Python environment of its own. It answers to this computer only.",
    "searching": "Looking for an environment that has UniUltra…",
    "asking": "",
    "making": "Making the environment. This takes minutes; Slicer stays usable.",
    "starting": "The server is starting…",
    "stopping": "The server is stopping…",
    "died": "The server has ended.",
}


def local_look(state: LocalServerState, log: str, *, source: bool = False, card: bool = False) -> Looks:
    """The box Server on this computer.

    Args:
        source: the project has to be named: the module does not lie in it.
        card: libraries for an NVIDIA card may be asked for.
    """
    said = f"The server runs at {state.address}." if state.kind == RUNNING else _SAID.get(state.kind, "")
    problem = state.problem
    if problem is not None:
        said = f"<b>{escape(problem.cause)}</b> {escape(problem.next_step)}".strip()
    idle = not state.busy and state.kind not in (RUNNING, ASKING, STOPPING)
    return {
        **line("localServerLabel", said),
        **offered(["localServerButton"], state.kind != RUNNING, idle),
        **offered(["localStopButton"], state.busy or state.kind == RUNNING),
        **{name: {"enabled": idle} for name in ("studiesPath", "environmentPath")},
        **offered(["sourceLabel", "sourcePath"], source, idle),
        **offered(["localGpuCheck"], card, idle),
        **offered(["localQuestionFrame"], state.kind == ASKING),
        # The line at the end is room: Qt gives wrapped text in nested frames a line too little.
        "localQuestionLabel": {"text": escape(state.question + "\n\n").replace("\n", "<br>")},
        "localLog": {"visible": bool(log)},
    }
