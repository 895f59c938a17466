"""A server on this computer: one button, the question before a download, the log."""

from __future__ import annotations

import sys
from typing import Any

import ctk

from ..control.state import OFFLINE
from ..local_server.server import RUNNING
from .local_look import local_look
from .section import Section

LOG_LINES = 200


class LocalServerPart(Section):
    """The box in the section Connection."""

    def __init__(self, panel: Any) -> None:
        super().__init__(panel)
        self.settings = panel.settings
        self.local = panel.session.local
        self._kind = self._log = ""
        self.ui.studiesPath.currentPath = self.settings["studies"] or str(self.local.default_studies)
        self.ui.environmentPath.currentPath = self.settings["environment"]
        self.ui.sourcePath.currentPath = self.settings["source"]
        self.ui.localGpuCheck.checked = self.settings["gpu"]
        for name in ("studiesPath", "environmentPath", "sourcePath"):
            # As it comes, its button opens files only.
            getattr(self.ui, name).filters = ctk.ctkPathLineEdit.Dirs
        self._source = not self.local.has_source
        # Elsewhere PyTorch's packages hold no such libraries.
        self._card = sys.platform.startswith("linux")
        bind = self.binding.clicked
        bind("localServerButton", self.start)
        bind("localStopButton", self.local.stop)
        bind("localYesButton", lambda: self.local.answer(True))
        bind("localNoButton", lambda: self.local.answer(False))

    def start(self) -> None:
        """Start it, or ask whether to make what it needs."""
        self.settings["studies"] = studies = self.ui.studiesPath.currentPath
        self.settings["environment"] = environment = self.ui.environmentPath.currentPath
        self.settings["source"] = source = self.ui.sourcePath.currentPath
        self.settings["gpu"] = gpu = self.ui.localGpuCheck.checked
        self.local.start(studies, environment, source=source, gpu=gpu)

    def update(self) -> None:
        """Show what it does; connect to it once it answers."""
        state = self.local.state
        log = "\n".join(self.local.log.tail(LOG_LINES))
        self.binding.show(local_look(state, log, source=self._source, card=self._card))
        if log != self._log:
            self._log = log
            self.ui.localLog.setPlainText(log)
            bar = self.ui.localLog.verticalScrollBar()
            bar.setValue(bar.maximum)
        if state.kind != self._kind:
            self._kind = state.kind
            if state.kind == RUNNING and self.controller.state.connection == OFFLINE:
                self.ui.addressEdit.text = state.address
                if self.ui.annotatorEdit.text.strip():
                    self.ui.connectButton.click()
