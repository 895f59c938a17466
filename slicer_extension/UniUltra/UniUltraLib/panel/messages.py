"""Status line, progress bar, problems, and the question before an image is sent; none of them modal."""

from __future__ import annotations

from typing import Any

import slicer

from .look import messages_look
from .section import Section

NOTICE_MS = 5000


class MessagesPart(Section):
    """The messages at the top of the panel."""

    def __init__(self, panel: Any) -> None:
        super().__init__(panel)
        bind = self.binding.clicked
        bind("cancelButton", self.controller.cancel)
        bind("problemCloseButton", lambda: self.controller.tell(None))
        bind("problemRetryButton", self.controller.retry)
        bind("consentYesButton", self.agree)
        bind("consentNoButton", lambda: self.controller.consent(False))

    def agree(self) -> None:
        """Consent to sending the image, with the options of the check boxes."""
        self.controller.consent(True, self.ui.blankCheck.checked, self.ui.consentAlwaysCheck.checked)

    def update(self) -> None:
        """Show the current messages."""
        state = self.controller.state
        self.binding.show(messages_look(state))
        if self.changed("notice", state.notice) and state.notice:
            slicer.util.showStatusMessage(state.notice, NOTICE_MS)
