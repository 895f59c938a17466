"""How a request names an image: by its id in the campaign, or by the session it was uploaded to.

An image of one's own leaves this machine once, after consent.
"""

from __future__ import annotations

from typing import Any, Dict, Optional

from ..errors import SceneError
from ..prompts.shown import Shown
from ..wire.client import Client
from .scene_protocol import SceneSide
from .worker import Ticket

_KEPT_CUTS = 8


class ImageReference:
    """One image as a request names it; used by the worker."""

    def __init__(self, image_id: Optional[str], content: Optional[bytes], kind: str) -> None:
        self._image_id, self._content, self._kind = image_id, content, kind
        self.session: Optional[str] = None

    def ready(self, client: Client, ticket: Optional[Ticket] = None) -> Dict[str, Any]:
        """The arguments of `Client.infer` that name the image; uploads it when that was not done yet.

        Raises:
            ServerError: one of its kinds.
            JobCancelled: the ticket was cancelled meanwhile.
        """
        if self._image_id is not None:
            return {"image_id": self._image_id}
        content = self._content
        if self.session is None and content is not None:
            what = ticket.what if ticket else ""
            if ticket:
                ticket.what = "Sending the image"
            self.session = client.upload(content, ticket.report if ticket else None)
            self._content = None  # the client keeps it, to send it again when the session has expired
            if ticket:
                ticket.what, ticket.progress = what, None
        return {"session_id": self.session, "axis_kind": self._kind}


class ImageReferences:
    """The open image: whether it may be sent, and how the server knows it and the cuts through it.

    `cannot_blank`: only its ultrasound region was to be sent, and none was found.
    """

    def __init__(self, scene: SceneSide) -> None:
        self._scene = scene
        self._kept: Dict[str, ImageReference] = {}
        self._agreed = ""
        self._blanked = self.cannot_blank = False

    def agree(self, address: str, blanked: bool) -> None:
        """The open image may be sent to a server; with `blanked`, only its ultrasound region."""
        self._agreed, self._blanked = address, blanked

    def may_be_sent(self, shown: Shown, address: str) -> bool:
        """Whether no consent is needed any more."""
        return shown.image_id is not None or (bool(address) and self._agreed == address)

    def reference(self, shown: Shown) -> ImageReference:
        """How to name a picture, once it may be sent.

        Raises:
            SceneError: the image cannot be exported; where it cannot be blanked, consent is asked for anew.
        """
        if shown.image_id is not None:
            return ImageReference(shown.image_id, None, shown.kind)
        if shown.key not in self._kept:
            cuts = [key for key in self._kept if key != shown.key]
            if shown.oblique and len(cuts) >= _KEPT_CUTS:
                del self._kept[cuts[0]]
            try:
                content = self._scene.content(shown, self._blanked)
            except SceneError:
                if self._blanked:
                    self._agreed, self.cannot_blank = "", True
                raise
            self._kept[shown.key] = ImageReference(None, content, shown.kind)
        return self._kept[shown.key]

    def known(self, shown: Shown) -> Optional[ImageReference]:
        """How the server knows what is shown, if it does."""
        if shown.image_id is not None:
            return self.reference(shown)
        kept = self._kept.get(shown.key)
        return kept if kept is not None and kept.session is not None else None

    def forget(self, client: Optional[Client]) -> None:
        """The image was closed: let go of what was sent, and ask again for the next one."""
        self._agreed, self._blanked, self.cannot_blank = "", False, False
        self.forget_sessions(client)

    def forget_sessions(self, client: Optional[Client]) -> None:
        """The server knows nothing that was sent: it is another one."""
        for reference in self._kept.values():
            if client is not None and reference.session is not None:
                client.forget(reference.session)
        self._kept.clear()
