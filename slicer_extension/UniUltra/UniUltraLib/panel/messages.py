"""The status line with its bar, problems, and the question before an image is sent. None of them is modal."""

from __future__ import annotations

from typing import Any

import slicer

from .look import messages_look
from .section import Section

NOTICE_MS = 5000


class MessagesPart(Section):
    """What the panel says."""

    def __init__(self, panel: Any) -> None:
        super().__init__(panel)
        self._notice = ""
        bind = self.binding.clicked
        bind("cancelButton", self.controller.cancel)
        bind("problemCloseButton", lambda: self.controller.tell(None))
        bind("problemRetryButton", self.controller.retry)
        bind("consentYesButton", self.agree)
        bind("consentNoButton", lambda: self.controller.consent(False))

    def agree(self) -> None:
        """The image may be sent, as the marks say."""
        self.controller.consent(True, self.ui.blankCheck.checked, self.ui.consentAlwaysCheck.checked)

    def update(self) -> None:
        """Show what there is to say."""
        state = self.controller.state
        self.binding.show(messages_look(state))
        if state.notice != self._notice:
            self._notice = state.notice
            if state.notice:
                slicer.util.showStatusMessage(state.notice, NOTICE_MS)
