"""What can go wrong between the panel, the server and the scene, in words for the person at the panel.

Every text names what was expected, what came and what to do next. None holds an image id, a prompt, a
patient's value or a full path, so a caller may show or log it as it is.
"""

from __future__ import annotations

from typing import Any, Dict


class UniUltraLibError(Exception):
    """Base of every error whose text may be shown as it is."""


class ServerError(UniUltraLibError):
    """A request to the server did not give its answer; `address` is the server's."""

    def __init__(self, address: str, cause: str, next_step: str) -> None:
        super().__init__(f"{address}: {cause} {next_step}")
        self.address = address
        self.cause = cause
        self.next_step = next_step


class ServerUnreachable(ServerError):
    """No connection: nobody listens there, the name is unknown, or its certificate is not trusted."""


class ServerTimeout(ServerError):
    """The server did not connect or did not answer in time."""


class AnsweredError(ServerError):
    """The server answered with a status that is not 200; `detail` is its own explanation."""

    def __init__(self, address: str, cause: str, next_step: str, status: int, detail: str) -> None:
        super().__init__(address, cause, next_step)
        self.status = status
        self.detail = detail


class Refused(AnsweredError):
    """The server understood the request and refused it (4xx)."""


class Conflict(Refused):
    """Nothing was saved, because a newer version stands: its `revision`, by whom and when."""

    def __init__(self, address: str, status: int, detail: str, newer: Dict[str, Any]) -> None:
        next_step = "Look at the newer one, then save yours on top of it or leave it."
        super().__init__(address, "a newer version of this label was saved.", next_step, status, detail)
        self.revision = int(newer["revision"])
        self.annotator = str(newer.get("annotator") or "")
        self.made = str(newer.get("made") or "")


class ServerFailed(AnsweredError):
    """The server broke while it worked on the request (5xx)."""


class UnexpectedAnswer(ServerError):
    """An answer that no UniUltra server gives: not JSON, too large, or a mask that cannot be one."""


class DiskError(UniUltraLibError):
    """A file that this machine cannot keep or read."""


class PackedMaskError(UniUltraLibError, ValueError):
    """Packed mask or run lengths that do not describe pixels of their picture."""


class PromptsError(UniUltraLibError, ValueError):
    """A prompt that is malformed or lies outside the image."""


class OutsideImage(PromptsError):
    """A place in the scene where the image has no voxel."""


class SceneError(UniUltraLibError):
    """Nodes of the scene that do not fit each other or the task."""
