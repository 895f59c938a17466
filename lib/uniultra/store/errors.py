"""Errors of the store. Messages are sent to clients and never contain a path of the server."""

from __future__ import annotations

from uniultra.errors import RequestError, UniUltraError
from uniultra.store.types import LabelVersion


class NotFoundError(RequestError):
    """An image, label or file does not exist."""


class ProtectedError(RequestError):
    """The operation would change an original that the server did not add, or reuse a taken name."""


class ConflictError(RequestError):
    """A label made from a revision that is no longer the newest of its history.

    Attributes:
        newer: the newest version.
    """

    def __init__(self, newer: LabelVersion) -> None:
        self.newer = newer
        super().__init__(
            f"Expected a label made from revision {newer.revision}, the newest; got one made from an older "
            "revision. Nothing was saved. Load the newer one, and save again from there."
        )


class StoreError(UniUltraError):
    """The database or the folder of the label store cannot be used now."""


class CampaignError(UniUltraError):
    """The campaign file is invalid."""
