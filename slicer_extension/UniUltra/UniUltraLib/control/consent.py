"""Consent before an image that is not in the campaign is uploaded."""

from __future__ import annotations

from typing import Any, Callable, Optional

from .connection import Link
from .image_reference import ImageReferences
from .state import Consent


class UploadConsent:
    """Asks once for each image and server, unless the person chose not to be asked again for that server.

    Args:
        images: gets the consent, and says whether an image could not be blanked.
        settings: its entry `consent` is the address of the server that needs no question, followed by
            ` blanked` if only the ultrasound region may be sent.
        warning: returns why the pixels may identify the patient.
        agreed: called when the image may be sent.
        changed: called when `question` has changed.

    Attributes:
        question: what to ask the person; None if nothing is to be decided.
    """

    def __init__(
        self,
        link: Link,
        images: ImageReferences,
        settings: Any,
        warning: Callable[[], Optional[str]],
        agreed: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self._link, self._images, self._settings = link, images, settings
        self._warning, self._agreed, self._changed = warning, agreed, changed
        self._then: Optional[Callable[[], None]] = None
        self.question: Optional[Consent] = None

    def ask(self, then: Optional[Callable[[], None]] = None) -> None:
        """Ask the person unless the settings hold the answer; `then` is called after consent."""
        self._then = then
        address, _, blanked = str(self._settings["consent"]).partition(" ")
        if address and address == self._link.address and not (blanked and self._images.cannot_blank):
            self._give(bool(blanked))
            return
        self.question = Consent(self._link.address, self._warning() or None)
        self._changed()

    def give(self, blank: bool, always: bool) -> None:
        """The person agreed; see `Controller.consent`."""
        if always:
            self._settings["consent"] = self._link.address + (" blanked" if blank else "")
        self._give(blank)

    def _give(self, blank: bool) -> None:
        self.question = None
        self._images.agree(self._link.address, blank)
        self._agreed()
        if self._then is not None:
            self._then()
        self._changed()
