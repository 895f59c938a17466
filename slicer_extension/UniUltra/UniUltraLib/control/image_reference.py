"""How a request names an image: by its ID in the campaign, or by the session it was uploaded to.

An image that is not in the campaign is uploaded once, after consent.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, TypeVar

from ..errors import Refused, SceneError
from ..prompts.shown import Shown
from ..wire.client import Client
from .scene_protocol import SceneSide
from .worker import Ticket

T = TypeVar("T")
_MAX_CUTS = 8


class ImageReference:
    """One image as requests name it; used on the worker's threads.

    Args:
        image_id: its ID in the campaign, or
        content: the NRRD file to upload. It is kept, since the server lets a session expire.
        kind: `still`, `cine` or `volume`.
    """

    def __init__(self, image_id: Optional[str], content: bytes, kind: str) -> None:
        self._content, self._kind = content, kind
        self._source: Dict[str, Any] = {} if image_id is None else {"image_id": image_id}

    @property
    def known(self) -> bool:
        """Whether the server has the image."""
        return bool(self._source)

    @property
    def source(self) -> Dict[str, Any]:
        """The arguments of `Client.infer` that name an image the server has."""
        return dict(self._source)

    def ask(self, client: Client, call: Callable[..., T], ticket: Ticket) -> T:
        """The result of `call(**source)`. The image is uploaded first where needed, and once more if its
        session has expired.

        Raises:
            ServerError: one of its kinds.
            JobCancelled: the ticket was cancelled meanwhile.
        """
        if not self._source:
            self._upload(client, ticket)
        try:
            return call(**self._source)
        except Refused as refused:
            if refused.status != 404 or "image_id" in self._source:
                raise
        self._upload(client, ticket)
        return call(**self._source)

    def _upload(self, client: Client, ticket: Ticket) -> None:
        what, ticket.what = ticket.what, "Sending the image"
        session = client.upload(self._content, ticket.report)
        self._source = {"session_id": session, "axis_kind": self._kind}
        ticket.what, ticket.progress = what, None


class ImageReferences:
    """The open image and the oblique cuts through it: whether they may be uploaded, and their references.

    Attributes:
        cannot_blank: only the ultrasound region was to be sent, but none was detected.
    """

    def __init__(self, scene: SceneSide) -> None:
        self._scene = scene
        self._uploads: Dict[str, ImageReference] = {}
        self._agreed = ""
        self._blanked = self.cannot_blank = False

    def agree(self, address: str, blanked: bool) -> None:
        """The open image may be sent to the server at `address`; if `blanked`, only its ultrasound region."""
        self._agreed, self._blanked = address, blanked

    def may_be_sent(self, shown: Shown, address: str) -> bool:
        """Whether no consent is needed, or it was given for this server."""
        return shown.image_id is not None or (bool(address) and self._agreed == address)

    def reference(self, shown: Shown) -> ImageReference:
        """The reference of a picture that may be sent.

        Raises:
            SceneError: the image cannot be exported. If it cannot be blanked, consent must be given again.
        """
        if shown.image_id is not None:
            return ImageReference(shown.image_id, b"", shown.kind)
        if shown.key not in self._uploads:
            if shown.oblique and len(self._uploads) >= _MAX_CUTS:
                del self._uploads[next(iter(self._uploads))]
            try:
                content = self._scene.content(shown, self._blanked)
            except SceneError:
                if self._blanked:
                    self._agreed, self.cannot_blank = "", True
                raise
            self._uploads[shown.key] = ImageReference(None, content, shown.kind)
        return self._uploads[shown.key]

    def known(self, shown: Shown) -> Optional[ImageReference]:
        """The reference of a picture that the server has already; else None."""
        reference = self.reference(shown) if shown.image_id else self._uploads.get(shown.key)
        return reference if reference is not None and reference.known else None

    def forget(self) -> None:
        """The image was closed: drop what was uploaded, and ask for consent before the next upload."""
        self._agreed, self._blanked, self.cannot_blank = "", False, False
        self._uploads.clear()

    def forget_uploads(self) -> None:
        """Another server is connected, which has none of the uploads."""
        self._uploads.clear()
