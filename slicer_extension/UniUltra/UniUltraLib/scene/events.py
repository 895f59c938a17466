"""Watches the nodes of the open image, and tells what happens to them."""

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
    """Calls listeners; see `SlicerScene.on` for the events.

    Args:
        scene: `slicer.mrmlScene`.
        current: the open image, which is taken and let go of here.
    """

    def __init__(self, scene: Any, current: CurrentImage) -> None:
        self._scene, self._current = scene, current
        self._masks = PaintedMasks(current)
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

    def tell(self, event: str, *values: Any) -> None:
        """Call the listeners of an event."""
        for callback in list(self._listeners[event]):
            callback(*values)

    @property
    def observers(self) -> List[Observers]:
        """All that are on the scene's nodes for us."""
        return [self._image_watch, self._mask_watch, self._view_watch]

    @contextmanager
    def own_change(self) -> Iterator[None]:
        """What Slicer says meanwhile is the panel's own doing, and no event."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def start(self, image: Any, view: SceneView) -> None:
        """Watch an image from now on."""
        self._current.open(image, view)
        watch, scene = self._image_watch, self._scene
        watch.add(scene, scene.StartCloseEvent, lambda *_: self.stop())
        watch.add(scene, scene.NodeAboutToBeRemovedEvent, _with_node(self._node_goes))
        watch.add(image.volume, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._moved)
        if image.kind == CINE:
            watch.add(image.browser, "ModifiedEvent", self._browsed)
        else:
            event = slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent
            watch.add(image.volume, event, lambda *_: self._current.voxels_changed())
        self.watch_segmentation()
        self._watch_view(view.slice_node)

    def stop(self) -> None:
        """Let go of the image, if one is open: no observer stays."""
        if self._current.image is None:
            return
        self.tell("closing")
        for watch in self.observers:
            watch.clear()
        self._current.open(None, None)
        self._place, self._listed, self.painted_since_undo = None, [], False
        self._masks.forget()
        self.tell("closed")

    def look_through(self, slice_node: Any) -> None:
        """Watch another slice view."""
        self._watch_view(slice_node)
        self.tell("view")

    def watch_segmentation(self) -> None:
        """Watch the segmentation node, once there is one. It passes on what its segmentation object tells."""
        self._mask_watch.clear()
        node = self._current.opened.segmentation
        if node is not None:
            kinds = slicer.vtkSegmentation
            # Slicer's undo tells no more than that the segment was modified.
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
        self._masks.note_all()

    def segments_changed(self) -> None:
        """Tell which segments are gone, and that the list is another, where it is."""
        listed = self._current.segments()
        if self._depth or self._current.image is None or listed == self._listed:
            return
        kept = {segment.id for segment in listed}
        gone = [segment.id for segment in self._listed if segment.id not in kept]
        self._listed = listed
        with self.own_change():
            self._current.image.sync_segments()
        for segment in gone:
            self._masks.forget(segment)
            self.tell("segment_removed", segment)
        self.tell("segments")

    def written(self, *written: Any) -> None:
        """The panel wrote a mask: (segment, shown, mask)."""
        self._masks.written(*written)

    def _watch_view(self, slice_node: Any) -> None:
        self._view_watch.clear()
        self._current.opened_view.slice_node = slice_node
        if slice_node is not None:
            self._view_watch.add(slice_node, "ModifiedEvent", lambda *_: self._view_changed())
        self._place = self._current.place()
        self._masks.note_all()

    def _node_goes(self, node: Any) -> None:
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
            self.tell("view")

    def _browsed(self, *_: Any) -> None:
        image, place = self._current.image, self._current.place()
        if image is None:
            return
        moved, playing = place != self._place, image.browser.GetPlaybackActive()
        self._place = place
        if not playing and (moved or self._was_playing):
            self._masks.note_all()
        self._was_playing = playing
        if moved:
            self.tell("frame", image.frame)

    def _view_changed(self) -> None:
        image, place = self._current.image, self._current.place()
        if image is not None and image.kind == VOLUME and place != self._place:
            self._place = place
            self._masks.note_all()
            self.tell("view")

    def _masks_changed(self) -> None:
        if self._depth or self._current.image is None:
            return
        shown = self._current.shown()
        for segment in list(self._listed):
            if self._masks.repainted(segment.id, shown):
                self.painted_since_undo = True
                self.tell("painted", segment.id)


def _with_node(callback: Callable[[Any], None]) -> Callable[..., None]:
    """A callback of a scene event that is given the node."""

    def called(_caller: Any, _event: str, node: Any) -> None:
        callback(node)

    called.CallDataType = vtk.VTK_OBJECT  # type: ignore[attr-defined]
    return called
