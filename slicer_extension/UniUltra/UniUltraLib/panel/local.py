"""The box Server on this computer: start, the question before a download, the log."""

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
        self.local = panel.session.local
        self._needs_source = not self.local.has_source  # looked up once: it reads the disk
        self.ui.studiesPath.currentPath = self.settings["studies"] or str(self.local.default_studies)
        self.ui.environmentPath.currentPath = self.settings["environment"]
        self.ui.sourcePath.currentPath = self.settings["source"]
        self.ui.localGpuCheck.checked = self.settings["gpu"]
        for name in ("studiesPath", "environmentPath", "sourcePath"):
            # By default its button opens files only.
            getattr(self.ui, name).filters = ctk.ctkPathLineEdit.Dirs
        bind = self.binding.clicked
        bind("localServerButton", self.start)
        bind("localStopButton", self.local.stop)
        bind("localYesButton", lambda: self.local.answer(True))
        bind("localNoButton", lambda: self.local.answer(False))

    def start(self) -> None:
        """Start the server, or ask whether to create the environment it needs."""
        self.settings["studies"] = studies = self.ui.studiesPath.currentPath
        self.settings["environment"] = environment = self.ui.environmentPath.currentPath
        self.settings["source"] = source = self.ui.sourcePath.currentPath
        self.settings["gpu"] = gpu = self.ui.localGpuCheck.checked
        self.local.start(studies, environment, source=source, gpu=gpu)

    def update(self) -> None:
        """Show the server's state; connect once it answers."""
        state = self.local.state
        log = "\n".join(self.local.log.tail(LOG_LINES))
        # Only on Linux do PyTorch's packages contain libraries for NVIDIA cards.
        card = sys.platform.startswith("linux")
        self.binding.show(local_look(state, log, source=self._needs_source, card=card))
        if self.changed("log", log):
            self.ui.localLog.setPlainText(log)
            bar = self.ui.localLog.verticalScrollBar()
            bar.setValue(bar.maximum)
        offline = self.controller.state.connection == OFFLINE
        if self.changed("kind", state.kind) and state.kind == RUNNING and offline:
            self.ui.addressEdit.text = state.address
            if self.ui.annotatorEdit.text.strip():
                self.ui.connectButton.click()
