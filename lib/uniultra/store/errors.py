"""What the store refuses. Texts travel to clients; they never hold a path of the server."""

from __future__ import annotations

from uniultra.errors import RequestError, UniUltraError
from uniultra.store.types import LabelVersion


class NotFoundError(RequestError):
    """No image, label or file of that name."""


class ProtectedError(RequestError):
    """An original that the server did not add, or a name that is taken."""


class ConflictError(RequestError):
    """A label made from a revision that is no longer the newest of its history.

    Attributes:
        newer: the version that stands there now.
    """

    def __init__(self, newer: LabelVersion) -> None:
        self.newer = newer
        super().__init__(
            f"Expected a label made from revision {newer.revision}, the newest; got one made from an older "
            "revision. Nothing was saved. Load the newer one, and save again from there."
        )


class StoreError(UniUltraError):
    """The label store cannot work now: its database or its folder cannot be reached."""


class CampaignError(UniUltraError):
    """A campaign file that cannot be used."""
