"""The whole panel on Slicer's libraries: the real .ui, scene, controller and server, mouse and keyboard."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("PySide6", reason="PySide6 is not installed (it comes with the `test` extra)")

import qt_shim
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtTest import QTest
from slicer_desktop import Desktop
from slicer_harness import SlicerApplication, needs_rendering

LEFT = QtCore.Qt.MouseButton.LeftButton


class PanelCase:
    """An opened panel, and what a person does with it."""

    def __init__(self, desktop: Desktop) -> None:
        self.desktop, self.opened = desktop, False
        module = importlib.import_module("UniUltra")
        self.widget = module.UniUltraWidget()
        self.widget.setup()
        desktop.hold(qt_shim.unwrap(self.widget.parent))
        self.widget.enter()
        self.opened = True
        self.settle()

    @property
    def ui(self) -> Any:
        return self.widget.ui

    @property
    def session(self) -> Any:
        return self.widget.logic.session

    @property
    def state(self) -> Any:
        return self.session.controller.state

    def get(self, name: str) -> Any:
        """The Qt widget of that name."""
        return qt_shim.unwrap(getattr(self.ui, name))

    def click(self, name: str) -> None:
        """Click a button with the mouse; it must be there to be clicked."""
        button = self.get(name)
        assert button.isEnabled() and not self.hidden(name), name
        self.unfold(button)
        where = QtCore.QPoint(10, button.height() // 2)
        QTest.mouseClick(button, LEFT, QtCore.Qt.KeyboardModifier.NoModifier, where)
        self.settle()

    def unfold(self, widget: Any) -> None:
        """Open the sections that a widget lies in."""
        parent = widget.parentWidget()
        while parent is not None:
            if parent.metaObject().indexOfProperty("collapsed") >= 0:
                parent.setProperty("collapsed", False)
            parent = parent.parentWidget()
        self.desktop.scroll.ensureWidgetVisible(widget)
        self.settle()

    def hidden(self, name: str) -> bool:
        """Whether a widget is out of sight for another reason than a folded section."""
        widget = self.get(name)
        while widget is not None and widget is not self.desktop.window:
            if widget.isHidden():
                return True
            widget = widget.parentWidget()
        return False

    def write(self, name: str, text: str) -> None:
        """Type into a field, in place of what is there."""
        field = self.get(name)
        self.unfold(field)
        field.setFocus()
        field.selectAll()
        QTest.keyClicks(field, text)
        self.settle()

    def press(self, key: str) -> None:
        """Press keys with the focus on Slicer's window."""
        self.desktop.window.setFocus()
        QTest.keySequence(self.desktop.window, QtGui.QKeySequence(key))
        self.settle()

    def mouse(self, *places: tuple[float, float]) -> None:
        """Drag the left button through voxels (x,y) of the shown picture; a single one is a click."""
        interactor = self.desktop.view.interactor
        for n, place in enumerate(places):
            interactor.SetEventInformation(*self.display(place), 0, 0, "\0", 0, "")
            interactor.MouseMoveEvent()
            if n == 0:
                interactor.LeftButtonPressEvent()
        interactor.LeftButtonReleaseEvent()
        self.settle()

    def picture(self, name: str) -> None:
        """Save what a person would see for the documents, where UNIULTRA_PICTURES names a folder."""
        folder = os.environ.get("UNIULTRA_PICTURES")
        if folder:
            self.rest()
            save_screenshot(self.desktop.screenshot(), Path(folder) / f"{name}.jpg")

    def rest(self) -> None:
        """Move the mouse out of the view, so that no marker is lit up by it."""
        self.desktop.view.interactor.SetEventInformation(3, 3, 0, 0, "\0", 0, "")
        self.desktop.view.interactor.MouseMoveEvent()
        self.desktop.view.interactor.InvokeEvent("LeaveEvent")
        self.settle(10)

    def display(self, place: tuple[float, float]) -> tuple[int, int]:
        """Where a voxel (x,y) of the shown picture lies in the view, pixels from its lower left."""
        import numpy as np
        from UniUltraLib.scene.coordinates import array_of

        shown = self.session.scene.shown()
        world = self.session.scene.to_world(shown, [shown.plane.to_ijk(*place)])[0]
        x, y = (np.linalg.inv(array_of(self.desktop.view.node.GetXYToRAS())) @ [*world, 1.0])[:2]
        return round(x), round(y)

    def settle(self, turns: int = 3) -> None:
        """Let Qt do what it has to, and the panel's timer show what has changed."""
        end = time.monotonic() + 1
        while turns > 0 or (self.opened and not self.session.fresh and time.monotonic() < end):
            self.desktop.qt.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 10)
            turns -= 1

    def wait(self, until: Callable[[], Any], seconds: float = 60, what: str = "") -> None:
        """Let time pass, as the desktop's event loop does, until something is so."""
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, f"{what or 'it'} did not come about; {self.state.problem}"
            self.desktop.qt.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 20)
            time.sleep(0.002)
        self.settle()

    def quiet(self) -> bool:
        """Nothing is under way."""
        return not self.state.waiting and not self.state.can_cancel and not self.state.busy

    def connect(self, address: str, annotator: str = "Dr. A") -> None:
        """Connect as a person does."""
        self.write("addressEdit", address)
        self.write("annotatorEdit", annotator)
        self.click("connectButton")
        self.wait(lambda: self.state.connection == "online", what="the connection")

    def close(self) -> None:
        """Slicer ends."""
        self.opened = False
        self.widget.exit()
        self.widget.cleanup()
        self.settle()


def save_screenshot(image: QtGui.QImage, file: Path) -> None:
    """Save a screenshot as a small JPEG with crisp text."""
    from PIL import Image

    image = image.convertToFormat(QtGui.QImage.Format.Format_RGBA8888)
    whole = Image.frombytes("RGBA", (image.width(), image.height()), bytes(image.constBits()))
    whole.convert("RGB").save(file, quality=88, subsampling=0, optimize=True)


def make_campaign(studies: Path, name: str, labels: tuple[str, ...], instructions: str, *more: str) -> None:
    """Found a campaign over a studies folder by the command line."""
    from uniultra.cli import main

    named = [word for label in labels for word in ("--label", label)]
    command = ["campaign", "init", "--studies", str(studies), "--name", name, *named, *more]
    assert main.main([*command, "--instructions", instructions]) in (0, None)


@contextmanager
def opened_panel(
    application: SlicerApplication, folder: Path, size: tuple[int, int] = (640, 640)
) -> Iterator[PanelCase]:
    """A panel with settings of its own in `folder`; Qt's warnings and errors in slots fail the test."""
    needs_rendering()
    settings = QtCore.QSettings
    settings.setDefaultFormat(settings.Format.IniFormat)
    settings.setPath(settings.Format.IniFormat, settings.Scope.UserScope, str(folder))
    QtCore.QCoreApplication.setOrganizationName("tests")
    QtCore.QCoreApplication.setApplicationName("Slicer")
    desktop = Desktop(application, size, folder)
    raised: list[Any] = []
    hook = sys.excepthook

    def note(*error: Any) -> None:
        raised.append(error)
        hook(*error)

    sys.excepthook = note
    case = None
    try:
        case = PanelCase(desktop)
        yield case
    finally:
        if case is not None:
            case.close()
        desktop.close()
        sys.excepthook = hook
        QtWidgets.QApplication.processEvents()
    if raised:
        raise raised[0][1].with_traceback(raised[0][2])
