"""Connecting: address, name, key, and a test of the connection."""

from __future__ import annotations

from typing import Any

from ..campaign.annotators import AnnotatorError, checked_name
from ..control.state import OFFLINE, ONLINE, Problem
from .look import connection_look
from .section import Section


class ConnectionPart(Section):
    """The section at the top; it folds once the connection stands."""

    def __init__(self, panel: Any) -> None:
        super().__init__(panel)
        self.settings = panel.settings
        self._was, self._tested = "", False
        self.ui.addressEdit.text = self.settings["address"]
        self.ui.annotatorEdit.text = self.settings["annotator"]
        self.ui.keepKeyCheck.checked = self.settings["keep_key"]
        self.ui.keyEdit.text = self.settings["key"]
        bind = self.binding.clicked
        bind("testButton", self.test)
        bind("connectButton", self.connect)
        bind("disconnectButton", self.controller.disconnect)
        for name in ("addressEdit", "annotatorEdit", "keyEdit"):
            getattr(self.ui, name).connect("returnPressed()", self.connect)
        self.ui.addressEdit.connect("textEdited(QString)", lambda *_: self.forget_test())
        self.ui.keepKeyCheck.connect("toggled(bool)", lambda *_: self.keep_key())

    def test(self) -> None:
        """Ask the server whether it answers."""
        self._tested = True
        self.controller.test_connection(self.ui.addressEdit.text, self.ui.keyEdit.text)

    def forget_test(self) -> None:
        """What was tested is not what is in the fields now."""
        self._tested = False
        self.update()

    def connect(self) -> None:
        """Connect, and remember with what."""
        self._tested = False
        try:
            checked_name(self.ui.annotatorEdit.text)
        except AnnotatorError as error:
            self.controller.tell(Problem.of(error))
            self.ui.annotatorEdit.setFocus()
            return
        address, annotator = self.ui.addressEdit.text.strip(), self.ui.annotatorEdit.text.strip()
        self.settings["address"], self.settings["annotator"] = address, annotator
        self.keep_key()
        self.controller.connect(address, self.ui.keyEdit.text, annotator)

    def keep_key(self) -> None:
        """Remember or forget the key, as the mark says."""
        self.settings.keep_key(self.ui.keyEdit.text, self.ui.keepKeyCheck.checked)

    def update(self) -> None:
        """Show the connection."""
        state = self.controller.state
        self.binding.show(connection_look(state, self._tested))
        if state.connection != self._was:
            if state.connection in (ONLINE, OFFLINE):  # one that was lost comes back by itself
                self.ui.connectionSection.collapsed = state.connection == ONLINE
            self._was = state.connection
