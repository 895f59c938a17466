"""Observes the nodes of the open image and emits events."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List

import slicer
import vtk

from ..prompts.shown import CINE, EVENTS, VOLUME, SegmentInfo
from .current_image import CurrentImage
from .observers import Observers
from .painted_masks import PaintedMasks
from .view import SceneView, views_of


class SceneEvents:
    """Calls listeners; `SlicerScene.on` lists the events.

    Args:
        scene: `slicer.mrmlScene`.
        current: the open image, which is opened and closed here.
    """

    def __init__(self, scene: Any, current: CurrentImage) -> None:
        self._scene, self._current = scene, current
        self.masks = PaintedMasks(current)
        self._listeners: Dict[str, List[Callable[..., None]]] = {event: [] for event in EVENTS}
        self._image_watch, self._mask_watch, self._view_watch = Observers(), Observers(), Observers()
        self._depth = 0
        self._listed: List[SegmentInfo] = []
        self._place: Any = None
        self._was_playing = False
        self.painted_since_undo = False

    def on(self, event: str, callback: Callable[..., None]) -> Callable[[], None]:
        """See `SlicerScene.on`."""
        if event not in self._listeners:
            raise ValueError(f"An event is one of {', '.join(EVENTS)}; got {event!r}.")
        self._listeners[event].append(callback)

        def off() -> None:
            if callback in self._listeners[event]:
                self._listeners[event].remove(callback)

        return off

    def emit(self, event: str, *values: Any) -> None:
        """Call the listeners of an event."""
        for callback in list(self._listeners[event]):
            callback(*values)

    @property
    def observers(self) -> List[Observers]:
        """All observers on the scene's nodes."""
        return [self._image_watch, self._mask_watch, self._view_watch]

    @contextmanager
    def own_change(self) -> Iterator[None]:
        """Changes made within this context are the panel's own and emit no event."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def start(self, image: Any, view: SceneView) -> None:
        """Open an image and observe its nodes."""
        self._current.open(image, view)
        watch, scene = self._image_watch, self._scene
        watch.add(scene, scene.StartCloseEvent, lambda *_: self.stop())
        watch.add(scene, scene.NodeAboutToBeRemovedEvent, _with_node(self._node_removed))
        watch.add(image.volume, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._moved)
        if image.kind == CINE:
            watch.add(image.browser, "ModifiedEvent", self._browsed)
        else:
            event = slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent
            watch.add(image.volume, event, lambda *_: self._current.voxels_changed())
        self.watch_segmentation()
        self._watch_view(view.slice_node)

    def stop(self) -> None:
        """Close the image, if one is open, and remove every observer."""
        if self._current.image is None:
            return
        self.emit("closing")
        for watch in self.observers:
            watch.clear()
        self._current.open(None, None)
        self._place, self._listed, self.painted_since_undo = None, [], False
        self.masks.forget()
        self.emit("closed")

    def look_through(self, slice_node: Any) -> None:
        """Observe another slice view."""
        self._watch_view(slice_node)
        self.emit("view")

    def watch_segmentation(self) -> None:
        """Observe the segmentation node, if there is one; it forwards the events of its segmentation."""
        self._mask_watch.clear()
        node = self._current.opened.segmentation
        if node is not None:
            kinds = slicer.vtkSegmentation
            # Slicer's undo emits SegmentModified only.
            for event in (
                kinds.SourceRepresentationModified,
                kinds.ContainedRepresentationNamesModified,
                kinds.SegmentModified,
            ):
                self._mask_watch.add(node, event, lambda *_: self._masks_changed())
            for event in (kinds.SegmentAdded, kinds.SegmentRemoved, kinds.SegmentModified):
                self._mask_watch.add(node, event, lambda *_: self.segments_changed())
            self._mask_watch.add(node, node.SegmentationChangedEvent, lambda *_: self.segments_changed())
        self._listed = self._current.segments()
        self.masks.note_all()

    def segments_changed(self) -> None:
        """Emit `segment_removed` for each missing segment, then `segments`, if the list has changed."""
        listed = self._current.segments()
        if self._depth or self._current.image is None or listed == self._listed:
            return
        present = {segment.id for segment in listed}
        removed = [segment.id for segment in self._listed if segment.id not in present]
        self._listed = listed
        with self.own_change():
            self._current.image.sync_segments()
        for segment in removed:
            self.masks.forget(segment)
            self.emit("segment_removed", segment)
        self.emit("segments")

    def _watch_view(self, slice_node: Any) -> None:
        self._view_watch.clear()
        self._current.opened_view.slice_node = slice_node
        if slice_node is not None:
            self._view_watch.add(slice_node, "ModifiedEvent", lambda *_: self._view_changed())
        self._place = self._current.place()
        self.masks.note_all()

    def _node_removed(self, node: Any) -> None:
        image, view = self._current.image, self._current.view
        if image is None or view is None or self._scene.IsClosing():
            return
        if any(node is owned for owned in image.owned):
            self.stop()
        elif node is image.segmentation or node is getattr(image, "masks", None):
            with self.own_change():
                self._mask_watch.clear()
                image.forget_segmentation()
            self.segments_changed()
        elif node is view.slice_node:
            others = [other for other in views_of(self._scene, image.volume) if other is not node]
            self.look_through(next(iter(others), None))

    def _moved(self, *_: Any) -> None:
        if not self._depth and self._current.image is not None:
            with self.own_change():
                self._current.image.follow_transform()
            self._current.opened_view.forget_cuts()
            self._place = self._current.place()
            self.emit("view")

    def _browsed(self, *_: Any) -> None:
        image, place = self._current.image, self._current.place()
        if image is None:
            return
        moved, playing = place != self._place, image.browser.GetPlaybackActive()
        self._place = place
        if not playing and (moved or self._was_playing):
            self.masks.note_all()
        self._was_playing = playing
        if moved:
            self.emit("frame", image.frame)

    def _view_changed(self) -> None:
        image, place = self._current.image, self._current.place()
        if image is not None and image.kind == VOLUME and place != self._place:
            self._place = place
            self.masks.note_all()
            self.emit("view")

    def _masks_changed(self) -> None:
        if self._depth or self._current.image is None:
            return
        shown = self._current.shown()
        for segment in list(self._listed):
            if self.masks.repainted(segment.id, shown):
                self.painted_since_undo = True
                self.emit("painted", segment.id)


def _with_node(callback: Callable[[Any], None]) -> Callable[..., None]:
    """A callback of a scene event that receives the node."""

    def called(_caller: Any, _event: str, node: Any) -> None:
        callback(node)

    called.CallDataType = vtk.VTK_OBJECT  # type: ignore[attr-defined]
    return called
