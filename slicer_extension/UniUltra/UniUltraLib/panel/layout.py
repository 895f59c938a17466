"""The view layout while the panel is open: one slice view for stills and cines, four views for volumes."""

from __future__ import annotations

from typing import Any, Callable, List, Optional

import slicer

from ..prompts.shown import VOLUME


class Views:
    """Sets the layout and the sequence toolbar for the open image, and restores them."""

    def __init__(self) -> None:
        self._own_layout: Optional[int] = None
        self._own_toolbar: Optional[bool] = None
        self._watcher: Optional[Callable[..., None]] = None

    def slice_widgets(self) -> List[Any]:
        """The slice views to take prompts in; empty while Slicer has no window."""
        manager = slicer.app.layoutManager()
        return [manager.sliceWidget(name) for name in manager.sliceViewNames()] if manager is not None else []

    def show(self, kind: str, volume: Any, browser: Any) -> None:
        """Lay out the views for a still, a cine (with its sequence browser) or a volume, fit to them."""
        manager = slicer.app.layoutManager()
        if manager is None:
            return
        if self._own_layout is None:
            self._own_layout = manager.layout
        layouts = slicer.vtkMRMLLayoutNode
        four_up, one_up = layouts.SlicerLayoutFourUpView, layouts.SlicerLayoutOneUpRedSliceView
        manager.setLayout(four_up if kind == VOLUME else one_up)
        for widget in self.slice_widgets():
            # A picture may lie in any plane; a volume is shown in the orientations of the person's views.
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
        """Call a function when the layout changes."""
        manager = slicer.app.layoutManager()
        if manager is not None and self._watcher is None:
            self._watcher = changed
            manager.connect("layoutChanged(int)", changed)

    def unwatch(self) -> None:
        """Undo `watch`."""
        manager = slicer.app.layoutManager()
        if manager is not None and self._watcher is not None:
            manager.disconnect("layoutChanged(int)", self._watcher)
        self._watcher = None

    def restore(self) -> None:
        """Restore the person's own layout and toolbar."""
        manager = slicer.app.layoutManager()
        if manager is not None and self._own_layout is not None:
            manager.setLayout(self._own_layout)
        if self._own_toolbar is not None:
            slicer.modules.sequences.setToolBarVisible(self._own_toolbar)
        self._own_layout = self._own_toolbar = None
