"""Test-only stand-ins for the widgets that Slicer and CTK bring: their properties, signals, and a plain look.

Names of properties and methods are those of the real classes' headers, so that a misspelt one fails here too.
"""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

Property, Signal = QtCore.Property, QtCore.Signal


def _plain(kind: Any, default: Any) -> Any:
    """A property that only keeps its value."""
    key = object()
    return Property(
        kind,
        lambda self: self.__dict__.get(key, default),
        lambda self, value: self.__dict__.__setitem__(key, value),
    )


class qMRMLWidget(QtWidgets.QWidget):
    """Hands the scene on to its children, as the connections of a .ui do on the desktop."""

    mrmlSceneChanged = Signal(object)

    def setMRMLScene(self, scene: Any) -> None:
        for child in self.findChildren(QtWidgets.QWidget):
            if hasattr(child, "setMRMLScene"):
                child.setMRMLScene(scene)
        self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """A node selector over the real scene."""

    currentNodeChanged = Signal(object)
    nodeActivated = Signal(object)
    noneEnabled, addEnabled, removeEnabled = _plain(bool, True), _plain(bool, True), _plain(bool, True)
    renameEnabled, showHidden = _plain(bool, False), _plain(bool, False)
    noneDisplay = _plain(str, "None")
    nodeTypes = _plain("QStringList", [])
    hideChildNodeTypes = _plain("QStringList", [])

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.box = QtWidgets.QComboBox(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.box)
        self._scene: Any = None
        self._tags: list[int] = []
        self.box.currentIndexChanged.connect(lambda _index: self.currentNodeChanged.emit(self.currentNode()))
        self.box.activated.connect(lambda _index: self.nodeActivated.emit(self.currentNode()))

    def setMRMLScene(self, scene: Any) -> None:
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene, self._tags = scene, []
        if scene is not None:
            events = (slicer.vtkMRMLScene.NodeAddedEvent, slicer.vtkMRMLScene.NodeRemovedEvent)
            self._tags = [scene.AddObserver(event, lambda *_: self._fill()) for event in events]
        self._fill()

    def _nodes(self) -> list[Any]:
        if self._scene is None:
            return []
        nodes = [self._scene.GetNthNode(n) for n in range(self._scene.GetNumberOfNodes())]
        return [
            node
            for node in nodes
            if any(node.IsA(kind) for kind in self.nodeTypes)
            and not any(node.IsA(kind) for kind in self.hideChildNodeTypes)
            and not node.GetHideFromEditors()
        ]

    def _fill(self) -> None:
        chosen = self._id()
        self.box.blockSignals(True)
        self.box.clear()
        if self.noneEnabled:
            self.box.addItem(self.noneDisplay, "")
        for node in self._nodes():
            self.box.addItem(node.GetName(), node.GetID())
        self.box.setCurrentIndex(max(self.box.findData(chosen), 0 if self.noneEnabled else -1))
        self.box.blockSignals(False)
        if self._id() != chosen:
            self.currentNodeChanged.emit(self.currentNode())

    def _id(self) -> str:
        return self.box.currentData() or ""

    def _choose(self, node_id: str) -> None:
        self.box.setCurrentIndex(max(self.box.findData(node_id), 0))

    currentNodeID = Property(str, _id, _choose)

    def currentNode(self) -> Any:
        return self._scene.GetNodeByID(self._id()) if self._scene is not None and self._id() else None

    def setCurrentNode(self, node: Any) -> None:
        self._choose(node.GetID() if node is not None else "")


class qMRMLSegmentEditorWidget(qMRMLWidget):
    """Lists the segments of the real segmentation; its effects are buttons without a function."""

    currentSegmentIDChanged = Signal(str)
    segmentationNodeChanged = Signal(object)
    sourceVolumeNodeChanged = Signal(object)
    segmentationNodeSelectorVisible = _plain(bool, True)
    sourceVolumeNodeSelectorVisible = _plain(bool, True)
    switchToSegmentationsButtonVisible = _plain(bool, True)
    autoShowSourceVolumeNode, undoEnabled = _plain(bool, True), _plain(bool, True)
    unorderedEffectsVisible, readOnly = _plain(bool, True), _plain(bool, False)
    maximumNumberOfUndoStates, effectColumnCount = _plain(int, 0), _plain(int, 0)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.table = QtWidgets.QListWidget(self)
        self.table.setMaximumHeight(84)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        self.effects = QtWidgets.QGridLayout()
        layout.addLayout(self.effects)
        self._segmentation: Any = None
        self._volume: Any = None
        self._node: Any = None
        self._tags: list[int] = []
        self.observing = False
        self.table.currentItemChanged.connect(self._picked)

    def mrmlSegmentEditorNode(self) -> Any:
        return self._node

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        self._node = node

    def setSourceVolumeNode(self, node: Any) -> None:
        self._volume = node
        self.sourceVolumeNodeChanged.emit(node)

    def setSegmentationNode(self, node: Any) -> None:
        for tag in self._tags:
            self._segmentation.GetSegmentation().RemoveObserver(tag)
        self._segmentation, self._tags = node, []
        if node is not None:
            segmentation = node.GetSegmentation()
            events = (segmentation.SegmentAdded, segmentation.SegmentRemoved, segmentation.SegmentModified)
            self._tags = [segmentation.AddObserver(event, lambda *_: self._fill()) for event in events]
        self._fill()
        self.segmentationNodeChanged.emit(node)

    def segmentationNode(self) -> Any:
        return self._segmentation

    def currentSegmentID(self) -> str:
        item = self.table.currentItem()
        return item.data(QtCore.Qt.ItemDataRole.UserRole) if item else ""

    def setCurrentSegmentID(self, segment: str) -> None:
        for row in range(self.table.count()):
            if self.table.item(row).data(QtCore.Qt.ItemDataRole.UserRole) == segment:
                self.table.setCurrentRow(row)

    def setEffectNameOrder(self, names: list[str]) -> None:
        for place, name in enumerate(names):
            button = QtWidgets.QToolButton(self)
            button.setText(name)
            button.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
            self.effects.addWidget(button, place // 3, place % 3)

    def setActiveEffect(self, effect: Any) -> None:
        if self._node is not None:
            self._node.SetActiveEffectName(effect or "")

    def saveStateForUndo(self) -> None:
        self.saved = getattr(self, "saved", 0) + 1

    def setupViewObservations(self) -> None:
        self.observing = True

    def removeViewObservations(self) -> None:
        self.observing = False

    def _fill(self) -> None:
        chosen = self.currentSegmentID()
        self.table.blockSignals(True)
        self.table.clear()
        held = self._segmentation.GetSegmentation() if self._segmentation is not None else None
        for segment in held.GetSegmentIDs() if held is not None else ():
            found = held.GetSegment(segment)
            swatch = QtGui.QPixmap(14, 14)
            swatch.fill(QtGui.QColor.fromRgbF(*found.GetColor()))
            item = QtWidgets.QListWidgetItem(QtGui.QIcon(swatch), found.GetName(), self.table)
            item.setData(QtCore.Qt.ItemDataRole.UserRole, segment)
        self.setCurrentSegmentID(chosen)
        self.table.blockSignals(False)

    def _picked(self, *_: Any) -> None:
        self.currentSegmentIDChanged.emit(self.currentSegmentID())


class _Collapsing:
    """What the collapsible containers share: a header that hides what is below it."""

    def _is_collapsed(self) -> bool:
        return getattr(self, "_collapsed", False)

    def _set_collapsed(self, value: bool) -> None:
        self._collapsed = bool(value)
        self._apply()  # type: ignore[attr-defined]
        self.contentsCollapsed.emit(self._collapsed)  # type: ignore[attr-defined]


class ctkCollapsibleButton(QtWidgets.QWidget, _Collapsing):
    """A section with a header button, as tall as its contents when open."""

    contentsCollapsed = Signal(bool)
    clicked = Signal(bool)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._title = ""
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Maximum)
        self.setContentsMargins(0, self._height(), 0, 0)

    text = Property(str, lambda self: self._title, lambda self, value: self._name(value))
    collapsed = Property(bool, _Collapsing._is_collapsed, _Collapsing._set_collapsed)

    def _height(self) -> int:
        return QtGui.QFontMetrics(self.font()).height() + 8

    def _name(self, value: str) -> None:
        self._title = value
        self.update()

    def _apply(self) -> None:
        self.setMaximumHeight(self._height() if self._collapsed else 16777215)
        self.updateGeometry()

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        if event.position().y() <= self._height():
            self._set_collapsed(not self._is_collapsed())
            self.clicked.emit(True)

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        painter = QtWidgets.QStylePainter(self)
        header = QtCore.QRect(0, 0, self.width(), self._height())
        frame = QtWidgets.QStyleOptionButton()
        frame.initFrom(self)
        frame.rect = header
        frame.state |= QtWidgets.QStyle.StateFlag.State_Raised
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, frame)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(6, header.height() // 2 - 5, 10, 10)
        kind = QtWidgets.QStyle.PrimitiveElement
        shown = kind.PE_IndicatorArrowRight if self._is_collapsed() else kind.PE_IndicatorArrowDown
        painter.drawPrimitive(shown, arrow)
        painter.drawText(header.adjusted(24, 0, 0, 0), QtCore.Qt.AlignmentFlag.AlignVCenter, self._title)


class ctkCollapsibleGroupBox(QtWidgets.QGroupBox, _Collapsing):
    """A group box that folds."""

    contentsCollapsed = Signal(bool)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.setCheckable(True)
        self.toggled.connect(lambda on: self._set_collapsed(not on))

    collapsed = Property(bool, _Collapsing._is_collapsed, _Collapsing._set_collapsed)

    def _apply(self) -> None:
        if self.isChecked() == self._collapsed:
            self.blockSignals(True)
            self.setChecked(not self._collapsed)
            self.blockSignals(False)
        height = QtGui.QFontMetrics(self.font()).height() + 6
        self.setMaximumHeight(height if self._collapsed else 16777215)


class ctkPathLineEdit(QtWidgets.QWidget):
    """A path with a button to browse."""

    currentPathChanged = Signal(str)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.edit, browse = QtWidgets.QLineEdit(self), QtWidgets.QToolButton(self)
        browse.setText("…")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.edit)
        layout.addWidget(browse)
        self.edit.textChanged.connect(self.currentPathChanged)

    currentPath = Property(str, lambda self: self.edit.text(), lambda self, value: self.edit.setText(value))
    filters = _plain(int, 0)
    settingKey = _plain(str, "")


STAND_INS = (
    qMRMLWidget,
    qMRMLNodeComboBox,
    qMRMLSegmentEditorWidget,
    ctkCollapsibleButton,
    ctkCollapsibleGroupBox,
    ctkPathLineEdit,
)
