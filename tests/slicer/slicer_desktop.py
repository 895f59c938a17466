"""Test-only: what the desktop adds to Slicer's libraries, as far as the panel asks for it.

A window with the module's panel at the left and one rendered slice view at the right, a layout manager, a
sequence toolbar and the base classes of scripted modules. Real are the scene, the logics, the slice view with
its interactor, Qt, and `slicer.util`.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import qt_shim
from PySide6 import QtCore, QtGui, QtWidgets
from slicer_harness import SlicerApplication, SliceView, slicer


class Desktop:
    """Slicer's window with one slice view."""

    def __init__(self, application: SlicerApplication, size: tuple[int, int], folder: Path) -> None:
        self.application, self.folder = application, folder
        self.qt = qt_shim.application()
        self.view = SliceView(application, size)
        self.view.node.SetOrientation("Axial")
        self.window = QtWidgets.QMainWindow()
        self.scroll = QtWidgets.QScrollArea()
        self.scroll.setWidgetResizable(True)
        self.scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.picture = QtWidgets.QLabel()
        self.status: list[str] = []
        middle = QtWidgets.QSplitter()
        middle.addWidget(self.scroll)
        middle.addWidget(self.picture)
        self.window.setCentralWidget(middle)
        self.layouts = Layouts(self)
        self.toolbar = ToolBar()
        self.quitting: list[Any] = []
        self._install()

    def _install(self) -> None:
        qt_shim.install()
        app = slicer.app
        app.slicerUserSettingsFilePath = str(self.folder / "Slicer.ini")
        app.startupEnvironment = QtCore.QProcessEnvironment.systemEnvironment
        app.layoutManager = lambda: self.layouts
        app.processEvents = lambda *_: self.qt.processEvents()
        app.connect = lambda signal, slot: self.quitting.append(slot)
        app.disconnect = lambda signal, slot: self.quitting.remove(slot)
        sequences = slicer.modules.sequences
        sequences.isToolBarVisible = lambda: self.toolbar.visible
        sequences.setToolBarVisible = self.toolbar.show
        sequences.setToolBarActiveBrowserNode = self.toolbar.follow
        util = slicer.util
        util.loadUI, util.childWidgetVariables = qt_shim.load_ui, qt_shim.child_widget_variables
        util.mainWindow = lambda *_: qt_shim.wrap(self.window)
        util.showStatusMessage = lambda text, *_: self.status.append(text)
        for name in ("errorDisplay", "warningDisplay", "infoDisplay"):
            setattr(util, name, _refuse_dialog)
        module = types.ModuleType("slicer.ScriptedLoadableModule")
        for made in (
            ScriptedLoadableModule,
            ScriptedLoadableModuleWidget,
            ScriptedLoadableModuleLogic,
            ScriptedLoadableModuleTest,
        ):
            setattr(module, made.__name__, made)
        sys.modules["slicer.ScriptedLoadableModule"] = module

    def hold(self, panel: QtWidgets.QWidget, width: int = 440) -> None:
        """Show a module's panel."""
        self.scroll.setWidget(panel)
        self.scroll.setFixedWidth(width)
        view_width, view_height = self.view.window.GetSize()
        self.window.resize(width + view_width + 6, view_height)
        self.window.show()
        self.window.activateWindow()
        self.qt.processEvents()

    def screenshot(self) -> QtGui.QImage:
        """The window as it would look, with the slice view as it is rendered now."""
        shot = self.view.picture()
        height, width, _ = shot.shape
        image = QtGui.QImage(shot.tobytes(), width, height, 3 * width, QtGui.QImage.Format.Format_RGB888)
        self.picture.setPixmap(QtGui.QPixmap.fromImage(image))
        self.window.resize(self.window.width(), height)
        self.qt.processEvents()
        return self.window.grab().toImage()

    def close(self) -> None:
        """End; the scene can be emptied after that."""
        panel = self.scroll.takeWidget()
        if panel is not None:
            panel.deleteLater()
        self.window.close()
        self.window.deleteLater()
        self.qt.processEvents()
        self.view.close()


class Layouts:
    """The layout manager, with a slice view called Red."""

    def __init__(self, desktop: Desktop) -> None:
        self.desktop = desktop
        self.slots: list[Any] = []
        self.layout = slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView

    def setLayout(self, layout: int) -> None:
        if layout != self.layout:
            self.layout = layout
            for slot in list(self.slots):
                slot(layout)

    def connect(self, signal: str, slot: Any) -> None:
        assert signal == "layoutChanged(int)"
        self.slots.append(slot)

    def disconnect(self, signal: str, slot: Any) -> None:
        self.slots.remove(slot)

    def sliceWidget(self, name: str) -> Any:
        return self if name == "Red" else None

    def sliceView(self) -> Any:
        style = SimpleNamespace(GetInteractor=lambda: self.desktop.view.interactor)
        return SimpleNamespace(interactorStyle=lambda: style, interactor=lambda: self.desktop.view.interactor)

    def sliceLogic(self) -> Any:
        return self.desktop.view.logic

    def mrmlSliceNode(self) -> Any:
        return self.desktop.view.node

    def sliceViewNames(self) -> tuple[str, ...]:
        return ("Red",)


class ToolBar:
    """The sequence browser's toolbar."""

    def __init__(self) -> None:
        self.visible = False
        self.browser: Any = None

    def show(self, visible: bool) -> None:
        self.visible = visible

    def follow(self, browser: Any) -> None:
        self.browser = browser


def _refuse_dialog(text: str, *_: Any, **__: Any) -> None:
    raise AssertionError(f"a modal dialog was opened: {text}")


class ScriptedLoadableModule:
    """As the desktop's, without its menus."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__

    def resourcePath(self, name: str) -> str:
        return _resource(self, name)


class ScriptedLoadableModuleWidget:
    """As the desktop's, without the developer's section."""

    def __init__(self, parent: Any = None) -> None:
        self.parent = qt_shim.wrap(parent or QtWidgets.QWidget())
        self.layout = qt_shim.wrap(QtWidgets.QVBoxLayout(qt_shim.unwrap(self.parent)))
        self.moduleName = type(self).__name__[: -len("Widget")]

    def setup(self) -> None:
        pass

    def resourcePath(self, name: str) -> str:
        return _resource(self, name)


class ScriptedLoadableModuleLogic:
    """As the desktop's."""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__[: -len("Logic")]


class ScriptedLoadableModuleTest:
    """As the desktop's; its test runs in Slicer only."""


def _resource(of: Any, name: str) -> str:
    return str(Path(sys.modules[type(of).__module__].__file__ or "").parent / "Resources" / name)
