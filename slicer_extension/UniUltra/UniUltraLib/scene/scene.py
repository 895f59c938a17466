"""The scene, as the panel's decisions see it: one open image, what is shown of it, its segments, their masks.

Nothing above this file knows a node. Segments may overlap: a mask written into one never takes voxels from
another, and what was painted into both stays in both. Call from the GUI thread.
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Sequence, Set

import numpy as np

from ..errors import OutsideImage, SceneError
from ..prompts.planes import Size, Voxel
from ..prompts.shown import CINE, VOLUME, SegmentInfo, Shown
from ..prompts.strokes import StrokePath
from . import cine, oblique
from .current_image import ID_ATTRIBUTE, NO_IMAGE, CurrentImage
from .events import SceneEvents
from .export import content_bytes, cut_bytes, warning_text
from .open_cine import OpenCine
from .open_volume import OpenVolume, nodes_of
from .view import SceneView, in_view, views_of

DONE_ATTRIBUTE = "UniUltra.DoneFrames"

# Kept apart by people who see no red and green (Okabe and Ito, Color Universal Design, 2008), and from grey.
_COLOURS = (
    (0.90, 0.62, 0.0), (0.34, 0.71, 0.91), (0.0, 0.62, 0.45), (0.94, 0.89, 0.26), (0.80, 0.47, 0.65),
    (0.84, 0.37, 0.0), (0.0, 0.45, 0.70),
)  # fmt: skip


class SlicerScene:
    """The side of the panel that is Slicer's scene.

    Args:
        scene: `slicer.mrmlScene`.
        save_undo: called before a mask is written over painted pixels, so that Slicer's own undo can
            give that back; the desktop's `segmentEditorWidget.saveStateForUndo`.
    """

    def __init__(self, scene: Any, save_undo: Optional[Callable[[], Any]] = None) -> None:
        self.scene, self.save_undo = scene, save_undo
        self._current = CurrentImage()
        self._events = SceneEvents(scene, self._current)

    def on(self, event: str, callback: Callable[..., None]) -> Callable[[], None]:
        """Have a callback called on an event; gives the function that ends that.

        Events, with what their callbacks are given:
            closing: the image is about to be closed, and can still be read.
            closed: no image is open any more.
            segments: the list, a name or a colour changed.
            segment_removed (id).
            painted (id): a mask of what is shown changed, and not by `write`.
            frame (number): another frame is shown.
            view: another slice, cut, slice view or place in the world.

        Raises:
            ValueError: there is no such event.
        """
        return self._events.on(event, callback)

    @property
    def observers(self) -> int:
        """How many observers are on the scene's nodes for us."""
        return sum(map(len, self._events.observers))

    # -- which image ------------------------------------------------------------------------------------

    def open(self, node: Any, image_id: Optional[str] = None) -> None:
        """Work on a volume node or on a sequence browser; a volume that a browser shows opens the whole cine.

        Args:
            image_id: the campaign's name of the image; kept with the node, so that it is known again after
                the scene was saved and loaded.

        Raises:
            SceneError: there are no voxels.
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
        """Let go of the image; nothing of the scene is changed, no observer stays. Told as `closed`."""
        self._events.stop()

    @property
    def is_open(self) -> bool:
        """Whether there is an image to work on."""
        return self._current.image is not None

    @property
    def image(self) -> Any:
        """The open image (`OpenVolume` or `OpenCine`).

        Raises:
            SceneError: none is open.
        """
        return self._current.opened

    @property
    def image_id(self) -> Optional[str]:
        """The campaign's name of the open image, if it is one of the campaign's."""
        return self._current.image_id

    @property
    def browser(self) -> Any:
        """The sequence browser of the open cine, else None."""
        return getattr(self._current.image, "browser", None)

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

    # -- what is looked at ------------------------------------------------------------------------------

    def shown(self) -> Optional[Shown]:
        """What the person looks at; None when no image is open, or no view shows a part of it."""
        return self._current.shown()

    def set_view(self, slice_node: Any) -> None:
        """Look at the image through this slice view from now on: a slice node, or its id."""
        if isinstance(slice_node, str):
            slice_node = self.scene.GetNodeByID(slice_node)
        if self.is_open and slice_node is not None and slice_node is not self.view:
            self._events.look_through(slice_node)

    @property
    def view(self) -> Any:
        """The slice node that is looked through, or None."""
        return self._current.opened_view.slice_node

    def views(self) -> List[Any]:
        """The slice nodes whose views show the open image."""
        return views_of(self.scene, self.image.volume)

    def view_at(self, world: Sequence[float]) -> None:
        """Look through the view in whose plane a position lies; the present one, where it does."""
        if not self.is_open or self._current.opened_view.shows(world):
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
        """The voxel of what is shown under a world position.

        Raises:
            OutsideImage: it is beside the image.
        """
        return self._current.opened_view.voxel(shown, world)

    def clamp(self, world: Sequence[float]) -> Optional[np.ndarray]:
        """The nearest world position that lies on what is shown; None when nothing is."""
        shown = self.shown()
        if shown is None:
            return None
        ijk = self.to_ijk(shown, [world])[0]
        # A hair within the outermost pixels' edge, so that it is on the image also after rounding.
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
        """Positions (N,3) of a stroke on the picture that is shown, with a pen of `width` mm."""
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
        """Add an empty segment; gives its id. The segmentation node is made with the first one."""
        with self._events.own_change():
            made = self.image.add_segment(name, colour or _COLOURS[len(self.segments()) % len(_COLOURS)])
            self._events.watch_segmentation()
        self._events.tell("segments")
        return made

    def remove_segment(self, segment: str) -> None:
        """Remove a segment with its masks and prompts; told as `segment_removed`."""
        with self._events.own_change():
            self.image.remove_segment(segment)
        self._events.segments_changed()

    def load_prompts(self, segment: str) -> Optional[str]:
        """What `save_prompts` kept, also before the scene was saved and loaded; None when nothing is.

        Raises:
            SceneError: the segment does not exist.
        """
        return self.image.text(segment)

    def save_prompts(self, segment: str, text: Optional[str]) -> None:
        """Keep a text with a segment; None or nothing removes it.

        Raises:
            SceneError: the segment does not exist.
        """
        with self._events.own_change():
            self.image.set_text(segment, text)

    # -- masks ------------------------------------------------------------------------------------------

    def read(self, segment: str, shown: Shown) -> np.ndarray:
        """What a segment holds on what is shown: (rows, columns) bool.

        Raises:
            SceneError: the segment does not exist, its voxels are not the image's, or an oblique view
                has moved on.
            OutsideImage: the image has no such plane.
        """
        return self._current.read(segment, shown)

    def write(self, segment: str, shown: Shown, mask: np.ndarray) -> None:
        """Make `mask` (rows, columns) all that a segment holds there; all else stays.

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
        self._events.written(segment, shown, mask)

    # -- frames -----------------------------------------------------------------------------------------

    def go_to(self, index: int) -> bool:
        """Show a frame of the cine, or a slice of the volume along the view's axis; False beyond the ends."""
        image, shown = self.image, self.shown()
        if image.kind == CINE:
            if not 0 <= index < image.frames:
                return False
            cine.show_frame(image.browser, index)
            return True
        if shown is None or shown.kind != VOLUME or not 0 <= index < image.size[shown.plane.normal]:
            return False
        ijk = (np.array(image.size) - 1) / 2
        ijk[shown.plane.normal] = index
        self._current.opened_view.slice_node.JumpSliceByOffsetting(*self.to_world(shown, [ijk])[0])
        return True

    def pause(self) -> None:
        """Stop a cine that plays, so that what is drawn is of the frame that was seen."""
        if self.browser is not None and self.browser.GetPlaybackActive():
            self.browser.SetPlaybackActive(False)

    def next_frame(self) -> bool:
        """Show the next frame or slice; False at the end."""
        return self._step(1)

    def previous_frame(self) -> bool:
        """Show the previous frame or slice; False at the start."""
        return self._step(-1)

    def done_frames(self, segment: Optional[str] = None) -> List[int]:
        """The frames marked done; with a segment, those of them where it holds something."""
        image = self.image
        kept = image.keeper.GetAttribute(DONE_ATTRIBUTE) or ""
        done = sorted({int(n) for n in kept.split() if n.isdigit() and int(n) < image.frames})
        if segment is None:
            return done
        return [n for n in done if image.read(segment, cine.Plane("k", n)).any()]

    def set_done(self, frame: int, done: bool = True) -> None:
        """Mark a frame as done, or not; kept with the image in the scene.

        Raises:
            OutsideImage: there is no such frame.
        """
        image = self.image
        if not 0 <= frame < image.frames:
            raise OutsideImage(f"Frame {frame} does not exist: the image has frames 0 to {image.frames - 1}.")
        frames: Set[int] = set(self.done_frames())
        frames = frames | {frame} if done else frames - {frame}
        image.keeper.SetAttribute(DONE_ATTRIBUTE, " ".join(map(str, sorted(frames))))

    # -- what leaves ------------------------------------------------------------------------------------

    def content(self, shown: Shown, blanked: bool = False) -> bytes:
        """What is uploaded: NRRD of the image (of the cut, in an oblique view), without name or DICOM header.

        Args:
            shown: what is asked about, which the view may have left since.
            blanked: 0 outside the ultrasound region, found from the voxels.

        Raises:
            SceneError: blanked was asked for, and no region stands out; or the cut is not known any more.
        """
        if shown.oblique:
            return cut_bytes(self.image, self._current.opened_view.cut(shown), blanked)
        return content_bytes(self.image, blanked)

    def warning(self) -> str:
        """Why the pixels may name the patient, to be told before an upload; never says that they do not."""
        return warning_text(self.image.pictures())

    def _step(self, step: int) -> bool:
        shown = self.shown()
        return shown is not None and self.go_to(shown.plane.index + step)

    def _browser_of(self, volume: Any) -> Any:
        """The browser that shows the frames of a cine in this volume node."""
        for browser in nodes_of(self.scene, "vtkMRMLSequenceBrowserNode"):
            frames = browser.GetMasterSequenceNode()
            if frames is not None and browser.GetProxyNode(frames) is volume:
                voxels = volume.GetImageData()
                return browser if voxels and voxels.GetDimensions()[2] == 1 else None
        return None
