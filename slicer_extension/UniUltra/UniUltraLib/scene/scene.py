"""Slicer's scene as the controller sees it: one open image, the shown picture, segments and masks.

Nothing above this file knows a node. Segments may overlap: a mask written into one never takes voxels from
another. Call from the GUI thread.
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Sequence

import numpy as np

from ..errors import OutsideImage, SceneError
from ..prompts.planes import Plane, Size, Voxel
from ..prompts.shown import CINE, VOLUME, SegmentInfo, Shown
from ..prompts.strokes import StrokePath
from . import oblique
from .current_image import ID_ATTRIBUTE, NO_IMAGE, CurrentImage
from .events import SceneEvents
from .export import content_bytes, cut_bytes, warning_text
from .open_cine import OpenCine
from .open_volume import OpenVolume, nodes_of
from .view import SceneView, in_view, views_of

DONE_ATTRIBUTE = "UniUltra.DoneFrames"

# Distinguishable with colour blindness (Okabe and Ito, Color Universal Design, 2008), and from grey.
_COLOURS = (
    (0.90, 0.62, 0.0), (0.34, 0.71, 0.91), (0.0, 0.62, 0.45), (0.94, 0.89, 0.26), (0.80, 0.47, 0.65),
    (0.84, 0.37, 0.0), (0.0, 0.45, 0.70),
)  # fmt: skip


class SlicerScene:
    """The panel's view of Slicer's scene: implements `control.scene_protocol.SceneSide` over MRML.

    Args:
        scene: `slicer.mrmlScene`.
        save_undo: called before a mask is written over painted pixels, so that Slicer's own undo can
            restore them; the desktop's `segmentEditorWidget.saveStateForUndo`.
    """

    def __init__(self, scene: Any, save_undo: Optional[Callable[[], Any]] = None) -> None:
        self.scene, self.save_undo = scene, save_undo
        self._current = CurrentImage()
        self._events = SceneEvents(scene, self._current)

    def on(self, event: str, callback: Callable[..., None]) -> Callable[[], None]:
        """Subscribe a callback to an event; returns the function that unsubscribes it.

        Events, with the arguments of their callbacks:
            closing: the image is about to be closed, and can still be read.
            closed: no image is open now.
            segments: the list, a name or a colour changed.
            segment_removed (id).
            painted (id): a mask on the shown picture changed, and not by `write`.
            frame (number): another frame is shown.
            view: the slice, cut, slice view or place in the world changed.

        Raises:
            ValueError: the event is unknown.
        """
        return self._events.on(event, callback)

    @property
    def observers(self) -> int:
        """The number of observers this object has on the scene's nodes."""
        return sum(map(len, self._events.observers))

    # -- which image ------------------------------------------------------------------------------------

    def open(self, node: Any, image_id: Optional[str] = None) -> None:
        """Work on a volume node or on a sequence browser; a volume that a browser shows opens the whole cine.

        Args:
            image_id: the campaign's ID of the image; stored with the node, so that it is restored with a
                saved scene.

        Raises:
            SceneError: the node is None or holds no voxels.
        """
        if node is not None and node.IsA("vtkMRMLVolumeNode"):
            node = self._browser_of(node) or node
        if node is None:
            raise SceneError(NO_IMAGE)
        is_cine = node.IsA("vtkMRMLSequenceBrowserNode")
        image = OpenCine(self.scene, node) if is_cine else OpenVolume(self.scene, node)
        self.close()
        if image_id is not None:
            image.keeper.SetAttribute(ID_ATTRIBUTE, image_id)
        views = views_of(self.scene, image.volume) or nodes_of(self.scene, "vtkMRMLSliceNode")
        self._events.start(image, SceneView(image, views[0] if views else None))

    def close(self) -> None:
        """Close the image: nothing of the scene changes, no observer stays. Emits `closed`."""
        self._events.stop()

    @property
    def is_open(self) -> bool:
        """Whether there is an image to work on."""
        return self._current.image is not None

    @property
    def image(self) -> Any:
        """The open image (`OpenVolume` or `OpenCine`).

        Raises:
            SceneError: no image is open.
        """
        return self._current.opened

    @property
    def image_id(self) -> Optional[str]:
        """The campaign's ID of the open image; None for an own image."""
        return self._current.image_id

    @property
    def browser(self) -> Any:
        """The sequence browser of the open image (a cine, or one volume of a 3D+t sequence), else None."""
        return next(iter(self._browsers_of(self.volume)), None) if self.is_open else None

    @property
    def volume(self) -> Any:
        """The volume node that the views show of the open image."""
        return self.image.volume

    @property
    def segmentation(self) -> Any:
        """The segmentation node of the open image, for Slicer's own tools; None before the first segment."""
        return self.image.segmentation if self.is_open else None

    @property
    def size(self) -> Size:
        """(I,J,K) voxels of the open image; (I,J,T) of a cine."""
        return self.image.size

    # -- views ------------------------------------------------------------------------------------------

    def shown(self) -> Optional[Shown]:
        """The picture on the screen; None when no image is open, or no view shows a part of it."""
        return self._current.shown()

    def set_view(self, slice_node: Any) -> None:
        """Show the image in this slice view from now on: a slice node, or its ID."""
        if isinstance(slice_node, str):
            slice_node = self.scene.GetNodeByID(slice_node)
        if self.is_open and slice_node is not None and slice_node is not self.view:
            self._events.look_through(slice_node)

    @property
    def view(self) -> Any:
        """The slice node of the current view, or None."""
        return self._current.opened_view.slice_node

    def views(self) -> List[Any]:
        """The slice nodes whose views show the open image."""
        return views_of(self.scene, self.image.volume)

    def view_at(self, world: Sequence[float]) -> None:
        """Switch to the view in whose plane a position lies, unless it lies in that of the current view."""
        if not self.is_open or (self.view is not None and in_view(self.view, world)):
            return
        node = next((node for node in self.views() if in_view(node, world)), None)
        if node is not None:
            self._events.look_through(node)

    def to_ijk(self, shown: Shown, world: Any) -> np.ndarray:
        """World positions (N,3), RAS in mm, as continuous voxels (N,3) of an image of `shown.size`."""
        return self._current.opened_view.to_ijk(shown, world)

    def to_world(self, shown: Shown, ijk: Any) -> np.ndarray:
        """Voxels (N,3) of an image of `shown.size` as world positions (N,3)."""
        return self._current.opened_view.to_world(shown, ijk)

    def voxel(self, shown: Shown, world: Sequence[float]) -> Voxel:
        """The voxel of the shown picture under a world position.

        Raises:
            OutsideImage: the position is not on the image.
        """
        return self._current.opened_view.voxel(shown, world)

    def clamp(self, world: Sequence[float]) -> Optional[np.ndarray]:
        """The nearest world position on the shown picture; None when nothing is shown."""
        shown = self.shown()
        if shown is None:
            return None
        ijk = self.to_ijk(shown, [world])[0]
        # Slightly within the edge of the outermost pixels, so that it stays on the image after rounding.
        held = np.clip(ijk, -0.499, np.array(shown.size) - 0.501)
        return np.asarray(world, float) if (held == ijk).all() else self.to_world(shown, [held])[0]

    def on_image(self, world: Sequence[float]) -> bool:
        """Whether a world position lies on the open image."""
        shown = self.shown()
        if shown is None:
            return False
        try:
            self.voxel(shown, world)
        except OutsideImage:
            return False
        return True

    def stroke_path(self, shown: Shown, world: Any, width: float = 0.0) -> StrokePath:
        """The world positions (N,3) of a stroke as a path on the shown picture, with a pen of `width` mm."""
        xy = self.to_ijk(shown, world)[:, list(shown.plane.in_plane)]
        middle = np.clip(xy.mean(axis=0), 0, np.array(shown.shape[::-1]) - 1)
        steps = [shown.plane.to_ijk(*(middle + step)) for step in ((0, 0), (1, 0), (0, 1))]
        origin, right, down = self.to_world(shown, steps)
        return StrokePath(xy, shown.shape, np.array([right - origin, down - origin]), width)

    # -- segments ---------------------------------------------------------------------------------------

    def segments(self) -> List[SegmentInfo]:
        """The segments of the open image, in Slicer's order."""
        return self._current.segments()

    def add_segment(self, name: str, colour: Optional[Sequence[float]] = None) -> str:
        """Add an empty segment; returns its ID. The first segment also creates the segmentation node."""
        with self._events.own_change():
            segment = self.image.add_segment(name, colour or _COLOURS[len(self.segments()) % len(_COLOURS)])
            self._events.watch_segmentation()
        self._events.emit("segments")
        return segment

    def remove_segment(self, segment: str) -> None:
        """Remove a segment with its masks and prompts. Emits `segment_removed`."""
        with self._events.own_change():
            self.image.remove_segment(segment)
        self._events.segments_changed()

    def load_prompts(self, segment: str) -> Optional[str]:
        """The text stored by `save_prompts`, also in a saved scene; None when there is none.

        Raises:
            SceneError: the segment does not exist.
        """
        return self.image.text(segment)

    def save_prompts(self, segment: str, text: Optional[str]) -> None:
        """Store a text with a segment; None or an empty text removes it.

        Raises:
            SceneError: the segment does not exist.
        """
        with self._events.own_change():
            self.image.set_text(segment, text)

    # -- masks ------------------------------------------------------------------------------------------

    def read(self, segment: str, shown: Shown) -> np.ndarray:
        """The mask of a segment on a picture: (rows, columns) bool.

        Raises:
            SceneError: the segment does not exist, its voxels are not aligned with the image's, or an
                oblique view has moved on.
            OutsideImage: the image has no such plane.
        """
        return self._current.read(segment, shown)

    def write(self, segment: str, shown: Shown, mask: np.ndarray) -> None:
        """Make `mask` (rows, columns) the whole content of a segment on a picture; the rest stays.

        Raises:
            SceneError: see `read`; or the mask is not of the picture's shape.
            OutsideImage: the image has no such plane.
        """
        image = self.image
        if np.shape(mask) != shown.shape:
            raise SceneError(
                f"The mask must have {shown.shape} pixels (rows, columns); got {np.shape(mask)}."
            )
        with self._events.own_change():
            if self._events.painted_since_undo and self.save_undo is not None:
                self.save_undo()
            self._events.painted_since_undo = False
            image.follow_transform()
            if shown.oblique:
                cut = self._current.opened_view.cut(shown)
                oblique.write_view(image.segmentation, segment, image.volume, cut, mask)
            else:
                image.write(segment, shown.plane, mask)
        self._events.masks.written(segment, shown, mask)

    # -- frames -----------------------------------------------------------------------------------------

    def go_to(self, index: int) -> bool:
        """Show a frame of the cine, or a slice of the volume along the view's axis; False beyond the ends."""
        image, shown = self.image, self.shown()
        if image.kind == CINE:
            if not 0 <= index < image.frames:
                return False
            image.show(index)
            return True
        if shown is None or shown.kind != VOLUME or not 0 <= index < image.size[shown.plane.normal]:
            return False
        ijk = (np.array(image.size) - 1) / 2
        ijk[shown.plane.normal] = index
        self._current.opened_view.slice_node.JumpSliceByOffsetting(*self.to_world(shown, [ijk])[0])
        return True

    def pause(self) -> None:
        """Stop a playing cine, so that a prompt belongs to the frame the person saw."""
        cine = getattr(self._current.image, "browser", None)
        if cine is not None and cine.GetPlaybackActive():
            cine.SetPlaybackActive(False)

    def next_frame(self) -> bool:
        """Show the next frame or slice; False at the end."""
        return self._step(1)

    def previous_frame(self) -> bool:
        """Show the previous frame or slice; False at the start."""
        return self._step(-1)

    def done_frames(self, segment: Optional[str] = None) -> List[int]:
        """The frames marked done; with a segment, only those on which it is not empty."""
        image = self.image
        stored = image.keeper.GetAttribute(DONE_ATTRIBUTE) or ""
        done = sorted({int(n) for n in stored.split() if n.isdigit() and int(n) < image.frames})
        if segment is None:
            return done
        return [n for n in done if image.read(segment, Plane("k", n)).any()]

    def set_done(self, frame: int, done: bool = True) -> None:
        """Mark a frame as done, or not; stored with the image in the scene.

        Raises:
            OutsideImage: the image has no such frame.
        """
        image = self.image
        if not 0 <= frame < image.frames:
            raise OutsideImage(f"Frame {frame} does not exist: the image has frames 0 to {image.frames - 1}.")
        frames = set(self.done_frames()) - {frame} | ({frame} if done else set())
        image.keeper.SetAttribute(DONE_ATTRIBUTE, " ".join(map(str, sorted(frames))))

    # -- upload ----------------------------------------------------------------------------------------

    def content(self, shown: Shown, blanked: bool = False) -> bytes:
        """The upload: NRRD of the image (in an oblique view: of the cut), without name or DICOM header.

        Args:
            shown: the picture of the request, which the view may have left since.
            blanked: set pixels outside the ultrasound region to 0; the region is found from the voxels.

        Raises:
            SceneError: no region was found to blank outside of, or the cut is no longer known.
        """
        if shown.oblique:
            return cut_bytes(self.image, self._current.opened_view.cut(shown), blanked)
        return content_bytes(self.image, blanked)

    def warning(self) -> str:
        """Why the pixels may name the patient, to be shown before an upload. Never claims they do not."""
        return warning_text(self.image.pictures())

    def _step(self, step: int) -> bool:
        shown = self.shown()
        return shown is not None and self.go_to(shown.plane.index + step)

    def _browser_of(self, volume: Any) -> Any:
        """The browser that shows the frames of a cine in this volume node."""
        voxels = volume.GetImageData()
        cine = voxels is not None and voxels.GetDimensions()[2] == 1
        return next(iter(self._browsers_of(volume)), None) if cine else None

    def _browsers_of(self, volume: Any) -> List[Any]:
        """The browsers whose sequence this volume node shows."""
        browsers = nodes_of(self.scene, "vtkMRMLSequenceBrowserNode")
        sequences = [(browser, browser.GetMasterSequenceNode()) for browser in browsers]
        return [b for b, sequence in sequences if sequence is not None and b.GetProxyNode(sequence) is volume]
