"""What happens in the scene, told to the panel: `SlicerScene` without its verbs.

A mask that somebody painted is told from one that we wrote, and from a frame that the browser brought, by its
content: each is compared with what was last seen in that segment on that picture.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import numpy as np
import slicer
import vtk

from ..errors import SceneError, UniUltraLibError
from ..prompts.shown import CINE, EVENTS, VOLUME, Shown
from . import oblique
from .observers import Observers
from .view import SceneView, views_of

ID_ATTRIBUTE = "UniUltra.ImageId"
NO_IMAGE = "No image is open. Load or choose an image first."


class SceneEvents:
    """Watches the open image. Events and what their callbacks are given:

    `closing` (nothing): the image is still there, to be read for the last time; `closed` (nothing): it is
    no longer; `segments` (nothing): the list, a name or a colour
    changed; `segment_removed` (id); `painted` (id): a mask of what is shown changed, and not by `write`;
    `frame` (number); `view` (nothing): another slice, cut, slice view or place in the world.
    """

    def __init__(self, scene: Any, save_undo: Optional[Callable[[], Any]] = None) -> None:
        self.scene = scene
        self.save_undo = save_undo
        self._listeners: Dict[str, List[Callable[..., None]]] = {event: [] for event in EVENTS}
        self._image: Any = None
        self._view: Optional[SceneView] = None
        self._image_watch, self._mask_watch, self._view_watch = Observers(), Observers(), Observers()
        self._depth = 0
        self._hash: Optional[str] = None
        self._listed: Tuple[Any, ...] = ()
        self._seen: Dict[Tuple[str, Any], bytes] = {}
        self._place: Any = None
        self._painted_since_undo = False
        self._was_playing = False

    def on(self, event: str, callback: Callable[..., None]) -> Callable[[], None]:
        """Have a callback called on an event; gives the function that ends that.

        Raises:
            ValueError: there is no such event.
        """
        if event not in self._listeners:
            raise ValueError(f"An event is one of {', '.join(EVENTS)}; got {event!r}.")
        self._listeners[event].append(callback)

        def off() -> None:
            if callback in self._listeners[event]:
                self._listeners[event].remove(callback)

        return off

    def close(self) -> None:
        """Let go of the image; nothing of the scene is changed, no observer stays. Told as `closed`."""
        if self._image is None:
            return
        self._tell("closing")
        for watch in (self._image_watch, self._mask_watch, self._view_watch):
            watch.clear()
        self._image, self._view, self._hash, self._place = None, None, None, None
        self._listed = ()
        self._seen.clear()
        self._painted_since_undo = False
        self._tell("closed")

    def shown(self) -> Optional[Shown]:
        """What the person looks at; None when no image is open, or no view shows a part of it."""
        if self._image is None or self._view is None:
            return None
        try:
            return self._view.shown(self._key(), self.image_id)
        except UniUltraLibError:
            return None

    @property
    def image_id(self) -> Optional[str]:
        """The campaign's name of the open image, if it is one of the campaign's."""
        return self._image.keeper.GetAttribute(ID_ATTRIBUTE) or None if self._image is not None else None

    def read(self, segment: str, shown: Shown) -> np.ndarray:
        """What a segment holds on what is shown: (rows, columns) bool.

        Raises:
            SceneError: the segment does not exist, its voxels are not the image's, or an oblique view
                has moved on.
            OutsideImage: the image has no such plane.
        """
        image = self._open
        image.follow_transform()
        if shown.oblique:
            return oblique.read_view(image.segmentation, segment, image.volume, self._looking.cut(shown))
        return image.read(segment, shown.plane)

    @property
    def _open(self) -> Any:
        if self._image is None:
            raise SceneError(NO_IMAGE)
        return self._image

    @property
    def _looking(self) -> SceneView:
        if self._view is None:
            raise SceneError(NO_IMAGE)
        return self._view

    @property
    def observers(self) -> int:
        """How many observers are on the scene's nodes for us."""
        return sum(len(watch) for watch in (self._image_watch, self._mask_watch, self._view_watch))

    def _start(self, image: Any, view: SceneView) -> None:
        self._image, self._view = image, view
        watch = self._image_watch
        watch.add(self.scene, self.scene.StartCloseEvent, lambda *_: self.close())
        watch.add(self.scene, self.scene.NodeAboutToBeRemovedEvent, _with_node(self._node_goes))
        watch.add(image.volume, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._moved)
        if image.kind == CINE:
            watch.add(image.browser, "ModifiedEvent", self._browsed)
        else:
            watch.add(image.volume, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, self._voxels_changed)
        self._watch_segmentation()
        self._look_through(view.slice_node, tell=False)

    def _look_through(self, slice_node: Any, tell: bool = True) -> None:
        self._view_watch.clear()
        self._looking.slice_node = slice_node
        if slice_node is not None:
            self._view_watch.add(slice_node, "ModifiedEvent", lambda *_: self._view_changed())
        self._place = self._where()
        self._remember()
        if tell:
            self._tell("view")

    def _watch_segmentation(self) -> None:
        """Watch the segmentation node, once there is one. It passes on what its segmentation object tells."""
        self._mask_watch.clear()
        node = self._open.segmentation
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
                self._mask_watch.add(node, event, lambda *_: self._segments_changed())
            self._mask_watch.add(node, node.SegmentationChangedEvent, lambda *_: self._segments_changed())
        self._listed = self._list()
        self._remember()

    def _tell(self, event: str, *values: Any) -> None:
        for callback in list(self._listeners[event]):
            callback(*values)

    @contextmanager
    def _ours(self) -> Iterator[None]:
        """What the scene tells meanwhile is our own doing."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    # -- what changed -----------------------------------------------------------------------------------

    def _node_goes(self, node: Any) -> None:
        image = self._image
        if image is None or self.scene.IsClosing():
            return
        if any(node is owned for owned in image.owned):
            self.close()
        elif node is image.segmentation or node is getattr(image, "masks", None):
            with self._ours():
                self._mask_watch.clear()
                image.forget_segmentation()
            self._segments_changed()
        elif self._view is not None and node is self._view.slice_node:
            others = [view for view in views_of(self.scene, image.volume) if view is not node]
            self._look_through(others[0] if others else None)

    def _moved(self, *_: Any) -> None:
        if self._image is not None and not self._depth:
            with self._ours():
                self._image.follow_transform()
            self._looking.forget_cuts()
            self._place = self._where()
            self._tell("view")

    def _voxels_changed(self, *_: Any) -> None:
        if self._image is not None:
            self._hash = None
            self._looking.forget_cuts()

    def _browsed(self, *_: Any) -> None:
        image = self._image
        if image is None:
            return
        moved, playing = self._where() != self._place, image.browser.GetPlaybackActive()
        self._place = self._where()
        if not playing and (moved or self._was_playing):
            self._remember()
        self._was_playing = playing
        if moved:
            self._tell("frame", image.frame)

    def _view_changed(self) -> None:
        image = self._image
        if image is not None and image.kind == VOLUME and self._where() != self._place:
            self._place = self._where()
            self._remember()
            self._tell("view")

    def _segments_changed(self) -> None:
        listed = self._list()
        if self._depth or self._image is None or listed == self._listed:
            return
        gone = [entry[0] for entry in self._listed if entry[0] not in {kept[0] for kept in listed}]
        self._listed = listed
        with self._ours():
            self._image.sync_segments()
        for segment in gone:
            self._seen = {key: value for key, value in self._seen.items() if key[0] != segment}
            self._tell("segment_removed", segment)
        self._tell("segments")

    def _masks_changed(self) -> None:
        if self._depth or self._image is None:
            return
        shown = self.shown()
        for segment in [entry[0] for entry in self._listed]:
            if self._remember_one(segment, shown):
                self._painted_since_undo = True
                self._tell("painted", segment)

    # -- what was seen ----------------------------------------------------------------------------------

    def _wrote(self, segment: str, shown: Shown, mask: np.ndarray) -> None:
        """A mask of ours is no painting; on the planes that cross this one, nothing is known any more."""
        axis = None if shown.oblique else shown.plane.axis
        self._seen = {
            key: value
            for key, value in self._seen.items()
            if key[0] != segment or (axis is not None and getattr(key[1], "axis", None) == axis)
        }
        if shown.oblique:
            self._remember()
        else:
            self._seen[segment, _place_of(shown)] = _print_of(mask)

    def _remember(self) -> None:
        shown = self.shown() if self._listed else None
        for entry in self._listed:
            self._remember_one(entry[0], shown)

    def _remember_one(self, segment: str, shown: Optional[Shown]) -> bool:
        """Note what a segment holds on what is shown; whether that is known to be another than before."""
        if shown is None:
            return False
        try:
            now = _print_of(self.read(segment, shown))
        except UniUltraLibError:
            return False
        before = self._seen.get((segment, _place_of(shown)))
        self._seen[segment, _place_of(shown)] = now
        return before is not None and before != now

    def _save_undo_once(self) -> None:
        if self._painted_since_undo and self.save_undo is not None:
            self.save_undo()
        self._painted_since_undo = False

    def _list(self) -> Tuple[Any, ...]:
        node = self._image.segmentation if self._image is not None else None
        if node is None:
            return ()
        held = node.GetSegmentation()
        rows = ((held.GetNthSegmentID(n), held.GetNthSegment(n)) for n in range(held.GetNumberOfSegments()))
        return tuple((name, segment.GetName(), tuple(segment.GetColor())) for name, segment in rows)

    def _where(self) -> Any:
        """Which frame, slice or cut is shown, without cutting; None beside the image."""
        image, view = self._image, self._view
        if image is None or view is None:
            return None
        try:
            return image.frame if image.kind == CINE else view.place()
        except UniUltraLibError:
            return None

    def _key(self) -> str:
        """The open image's name: the campaign's, else the hash of its voxels.

        Of the voxels alone, since the place of an image comes back from a saved scene a little rounded.
        """
        if self.image_id is not None:
            return self.image_id
        if self._hash is None:
            digest = hashlib.sha256()
            for picture in self._open.each_picture():
                digest.update(f"{picture.shape} {picture.dtype.str} ".encode())
                digest.update(np.ascontiguousarray(picture))
            self._hash = digest.hexdigest()
        return self._hash


def _with_node(callback: Callable[[Any], None]) -> Callable[..., None]:
    """A callback of a scene event that is given the node."""

    def called(_caller: Any, _event: str, node: Any) -> None:
        callback(node)

    called.CallDataType = vtk.VTK_OBJECT  # type: ignore[attr-defined]
    return called


def _place_of(shown: Shown) -> Any:
    return shown.key if shown.oblique else shown.plane


def _print_of(mask: np.ndarray) -> bytes:
    return hashlib.blake2b(np.packbits(np.asarray(mask, bool)).tobytes(), digest_size=16).digest()
