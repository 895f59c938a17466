"""Test-only: PySide6 in the place of PythonQt's `qt` and `ctk`, so that the panel runs without the desktop.

PythonQt's look is kept where code may rely on it: a Q_PROPERTY is an attribute (`button.enabled = True`,
`edit.text`), a misspelt one raises, `connect("clicked(bool)", f)` works beside `clicked.connect(f)`.
"""

from __future__ import annotations

import ctypes
import os
import sys
import types
from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

_MODULES = (QtCore, QtGui, QtWidgets)


def wrap(value: Any) -> Any:
    """A QObject as PythonQt shows it; anything else as it is."""
    return Wrapped(value) if isinstance(value, QtCore.QObject) else value


def unwrap(value: Any) -> Any:
    """The PySide object behind a wrapped one."""
    if isinstance(value, (list, tuple)):
        return type(value)(unwrap(one) for one in value)
    return object.__getattribute__(value, "_object") if isinstance(value, Wrapped) else value


class Wrapped:
    """A QObject with PythonQt's manners."""

    def __init__(self, target: QtCore.QObject) -> None:
        object.__setattr__(self, "_object", target)

    def __getattr__(self, name: str) -> Any:
        target = unwrap(self)
        if name in ("connect", "disconnect"):
            return lambda signal, slot: getattr(getattr(target, signal.partition("(")[0]), name)(slot)
        if name in getattr(target, "PLAIN", ()):
            return getattr(target, name)
        if target.metaObject().indexOfProperty(name) >= 0:
            return wrap(target.property(name))
        found = getattr(target, name)
        return _Method(found) if callable(found) and not isinstance(found, QtCore.SignalInstance) else found

    def __setattr__(self, name: str, value: Any) -> None:
        target = unwrap(self)
        if target.metaObject().indexOfProperty(name) < 0:
            raise AttributeError(f"{target.metaObject().className()} has no property '{name}'")
        if not target.setProperty(name, unwrap(value)):
            raise TypeError(
                f"{target.metaObject().className()}.{name} does not take a {type(value).__name__}"
            )

    def __eq__(self, other: object) -> bool:
        return unwrap(self) is unwrap(other)

    def __hash__(self) -> int:
        return hash(unwrap(self))


class _Method:
    """A method that takes and gives wrapped objects."""

    def __init__(self, method: Any) -> None:
        self.method = method

    def __call__(self, *args: Any, **more: Any) -> Any:
        given = self.method(*(unwrap(one) for one in args), **{k: unwrap(v) for k, v in more.items()})
        return [wrap(one) for one in given] if isinstance(given, list) else wrap(given)


class _Class:
    """A class of Qt: makes wrapped objects, and has its enums and static methods."""

    def __init__(self, made: Any) -> None:
        self.made = made

    def __call__(self, *args: Any) -> Any:
        return wrap(self.made(*(unwrap(one) for one in args)))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.made, name)
        return _Method(found) if callable(found) and not isinstance(found, type) else found


def qt_module() -> types.ModuleType:
    """The module `qt`."""
    qt = types.ModuleType("qt")
    for module in _MODULES:
        for name in dir(module):
            if name.startswith("Q"):
                found = getattr(module, name)
                setattr(qt, name, _Class(found) if isinstance(found, type) and name != "Qt" else found)
    return qt


def application(style: str = "Fusion") -> QtWidgets.QApplication:
    """The one application of this process, off the screen; with the desktop's kind of style."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    _keep_none_alive()
    made = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["tests"])
    assert isinstance(made, QtWidgets.QApplication)
    made.setStyle(style)
    return made


def _keep_none_alive() -> None:
    """Give None so many references that it outlives the process.

    PySide6 6.12 hands out None without counting it (each `processEvents()` takes one away), which is right
    from Python 3.12 on, where None is immortal; 3.11 would free it in the end, and crash.
    """
    if sys.version_info < (3, 12) and sys.getrefcount(None) < 1 << 30:
        ctypes.c_ssize_t.from_address(id(None)).value += 1 << 40


def load_ui(path: str) -> Wrapped:
    """`slicer.util.loadUI`, with the stand-ins of `qt_widgets` for Slicer's own widgets."""
    from qt_widgets import STAND_INS

    loader = QtUiTools.QUiLoader()
    for widget in STAND_INS:
        loader.registerCustomWidget(widget)
    file = QtCore.QFile(str(path))
    if not file.open(QtCore.QIODevice.OpenModeFlag.ReadOnly):
        raise FileNotFoundError(Path(path).name)
    made = loader.load(file)
    file.close()
    if made is None:
        raise ValueError(loader.errorString())
    return Wrapped(made)


def child_widget_variables(widget: Any) -> types.SimpleNamespace:
    """`slicer.util.childWidgetVariables`: every named child by its name."""
    top = unwrap(widget)
    children = [top, *top.findChildren(QtCore.QObject)]
    return types.SimpleNamespace(**{one.objectName(): Wrapped(one) for one in children if one.objectName()})


def install() -> types.ModuleType:
    """Put `qt` and `ctk` into the process."""
    application()
    if "qt" not in sys.modules:
        sys.modules["qt"] = qt_module()
        sys.modules["ctk"] = types.ModuleType("ctk")
        sys.modules["ctk"].ctkPathLineEdit = types.SimpleNamespace(Dirs=1)  # type: ignore[attr-defined]
    return sys.modules["qt"]
