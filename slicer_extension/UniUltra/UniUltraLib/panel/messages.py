"""The status line with its bar, problems, and the question before an image is sent. None of them is modal."""

from __future__ import annotations

from typing import Any

import slicer

from .look import messages_look

NOTICE_MS = 5000


class MessagesPart:
    """What the panel says."""

    def __init__(self, panel: Any) -> None:
        self.panel, self.ui = panel, panel.ui
        self.controller = panel.session.controller
        self._notice = ""
        bind = panel.binding.clicked
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
        self.panel.binding.show(messages_look(state))
        if state.notice != self._notice:
            self._notice = state.notice
            if state.notice:
                slicer.util.showStatusMessage(state.notice, NOTICE_MS)
