"""The views while the panel is open: one slice for stills and cines, and back to the person's own layout."""

from __future__ import annotations

from typing import Any, Callable, List, Optional

import slicer

from ..prompts.shown import VOLUME


class Views:
    """Chooses the layout and the sequence toolbar for what is worked on, and undoes that on leaving."""

    def __init__(self) -> None:
        self._own_layout: Optional[int] = None
        self._own_toolbar: Optional[bool] = None
        self._watcher: Optional[Callable[..., None]] = None

    def slice_widgets(self) -> List[Any]:
        """The slice views that prompts are given in; none while Slicer has no window."""
        manager = slicer.app.layoutManager()
        return [manager.sliceWidget(name) for name in manager.sliceViewNames()] if manager is not None else []

    def show(self, kind: str, volume: Any, browser: Any = None) -> None:
        """Lay out the views for a still, a cine (with its sequence browser) or a volume; show it whole."""
        manager = slicer.app.layoutManager()
        if manager is None:
            return
        if self._own_layout is None:
            self._own_layout = manager.layout
        nodes = slicer.vtkMRMLLayoutNode
        one, four = nodes.SlicerLayoutOneUpRedSliceView, nodes.SlicerLayoutFourUpView
        manager.setLayout(four if kind == VOLUME else one)
        for widget in self.slice_widgets():
            # A picture may lie in any plane of space; a volume is cut by the planes that the person has.
            if kind != VOLUME:
                widget.mrmlSliceNode().RotateToVolumePlane(volume)
            widget.sliceLogic().FitSliceToAll()
        if browser is not None:
            toolbar = slicer.modules.sequences
            if self._own_toolbar is None:
                self._own_toolbar = toolbar.isToolBarVisible()
            toolbar.setToolBarVisible(True)
            toolbar.setToolBarActiveBrowserNode(browser)

    def watch(self, changed: Callable[..., None]) -> None:
        """Call something when other views are laid out."""
        manager = slicer.app.layoutManager()
        if manager is not None and self._watcher is None:
            self._watcher = changed
            manager.connect("layoutChanged(int)", changed)

    def unwatch(self) -> None:
        """End that."""
        manager = slicer.app.layoutManager()
        if manager is not None and self._watcher is not None:
            manager.disconnect("layoutChanged(int)", self._watcher)
        self._watcher = None

    def restore(self) -> None:
        """What the person had before."""
        manager = slicer.app.layoutManager()
        if manager is not None and self._own_layout is not None:
            manager.setLayout(self._own_layout)
        if self._own_toolbar is not None:
            slicer.modules.sequences.setToolBarVisible(self._own_toolbar)
        self._own_layout = self._own_toolbar = None
