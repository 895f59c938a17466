"""Errors of the panel, the server and the scene, with messages for the person at the panel.

Every message says what was expected, what came and what to do next. It never has an image ID, a prompt, a
patient's data or a full path, so it may be shown or logged as it is.
"""

from __future__ import annotations

from typing import Any, Dict


class UniUltraLibError(Exception):
    """Base of all errors whose message may be shown as it is."""


class ServerError(UniUltraLibError):
    """A request to the server at `address` failed."""

    def __init__(self, address: str, cause: str, next_step: str) -> None:
        super().__init__(f"{address}: {cause} {next_step}")
        self.address = address
        self.cause = cause
        self.next_step = next_step


class ServerUnreachable(ServerError):
    """No connection: no server listens, the name is unknown, or the certificate is not trusted."""


class ServerTimeout(ServerError):
    """The server did not connect or did not answer in time."""


class AnsweredError(ServerError):
    """The server answered with an error status; `detail` is its own explanation."""

    def __init__(self, address: str, cause: str, next_step: str, status: int, detail: str) -> None:
        super().__init__(address, cause, next_step)
        self.status = status
        self.detail = detail


class Refused(AnsweredError):
    """The server understood the request and refused it (4xx)."""


class Conflict(Refused):
    """A label was not saved, because a newer version (`revision`, `annotator`, `made`) exists."""

    def __init__(self, address: str, status: int, detail: str, newer: Dict[str, Any]) -> None:
        next_step = "Look at the newer version, then save yours on top of it or discard yours."
        super().__init__(address, "a newer version of this label was saved.", next_step, status, detail)
        self.revision = int(newer["revision"])
        self.annotator = str(newer.get("annotator") or "")
        self.made = str(newer.get("made") or "")


class ServerFailed(AnsweredError):
    """The server failed while handling the request (5xx)."""


class UnexpectedAnswer(ServerError):
    """An answer that no UniUltra server gives: not JSON, too large, or a malformed mask."""


class DiskError(UniUltraLibError):
    """A file cannot be written or read on this machine."""


class PackedMaskError(UniUltraLibError, ValueError):
    """A packed mask or run lengths that do not fit their picture."""


class PromptsError(UniUltraLibError, ValueError):
    """A prompt that is malformed or lies outside the image."""


class OutsideImage(PromptsError):
    """A position outside the image's voxels."""


class SceneError(UniUltraLibError):
    """Nodes of the scene do not fit each other or the task."""
