"""The section Connection: address, name, key, and a test of the connection."""

from __future__ import annotations

from typing import Any

from ..campaign.annotators import AnnotatorError, checked_name
from ..control.state import OFFLINE, ONLINE, Problem
from .look import connection_look
from .section import Section


class ConnectionPart(Section):
    """The section at the top, which folds once the connection is established."""

    def __init__(self, panel: Any) -> None:
        super().__init__(panel)
        self._tested = False
        self.ui.keepKeyCheck.checked = self.settings["keep_key"]
        for name, setting in (("addressEdit", "address"), ("annotatorEdit", "annotator"), ("keyEdit", "key")):
            getattr(self.ui, name).text = self.settings[setting]
            getattr(self.ui, name).connect("returnPressed()", self.connect)
        bind = self.binding.clicked
        bind("testButton", self.test)
        bind("connectButton", self.connect)
        bind("disconnectButton", self.controller.disconnect)
        self.ui.addressEdit.connect("textEdited(QString)", lambda *_: self.forget_test())
        self.ui.keepKeyCheck.connect("toggled(bool)", lambda *_: self.keep_key())

    def test(self) -> None:
        """Test whether the server answers."""
        self._tested = True
        self.controller.test_connection(self.ui.addressEdit.text, self.ui.keyEdit.text)

    def forget_test(self) -> None:
        """Hide the result of a test once the address has changed."""
        self._tested = False
        self.update()

    def connect(self) -> None:
        """Connect, and store the settings."""
        self._tested = False
        try:
            checked_name(self.ui.annotatorEdit.text)
        except AnnotatorError as error:
            self.controller.tell(Problem.of(error))
            self.ui.annotatorEdit.setFocus()
            return
        self.keep_key()
        address, annotator = self.ui.addressEdit.text.strip(), self.ui.annotatorEdit.text.strip()
        self.controller.connect(address, self.ui.keyEdit.text, annotator)

    def keep_key(self) -> None:
        """Store or delete the key, as the check box says."""
        self.settings.keep_key(self.ui.keyEdit.text, self.ui.keepKeyCheck.checked)

    def update(self) -> None:
        """Show the connection."""
        state = self.controller.state
        self.binding.show(connection_look(state, self._tested))
        # A lost connection is restored automatically: the section stays as it is.
        if self.changed("connection", state.connection) and state.connection in (ONLINE, OFFLINE):
            self.ui.connectionSection.collapsed = state.connection == ONLINE
