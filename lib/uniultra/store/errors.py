"""What the store refuses. Texts travel to clients; they never hold a path of the server."""

from __future__ import annotations

from uniultra.errors import RequestError


class NotFoundError(RequestError):
    """No image, label or file of that name."""


class ProtectedError(RequestError):
    """An original that the server did not add, or a name that is taken."""
