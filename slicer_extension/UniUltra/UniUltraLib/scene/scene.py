"""The scene, as the panel's decisions see it: one open image, what is shown of it, its segments, their masks.

Nothing above this file knows a node. Segments may overlap: a mask written into one never takes voxels from
another, and what was painted into both stays in both. Call from the GUI thread.
"""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Set, Tuple

import numpy as np

from ..errors import OutsideImage, SceneError
from ..prompts.planes import Size, Voxel
from ..prompts.shown import CINE, VOLUME, SegmentInfo, Shown
from ..prompts.strokes import box_corners, lasso_corners, pen_mark
from . import cine, oblique
from .export import content_bytes, cut_bytes, warning_text
from .open_cine import OpenCine
from .open_volume import OpenVolume, nodes_of
from .scene_base import ID_ATTRIBUTE, NO_IMAGE, SceneEvents
from .view import SceneView, in_view, views_of

DONE_ATTRIBUTE = "UniUltra.DoneFrames"

# Kept apart by people who see no red and green (Okabe and Ito, Color Universal Design, 2008), and from grey.
_COLOURS = (
    (0.90, 0.62, 0.0), (0.34, 0.71, 0.91), (0.0, 0.62, 0.45), (0.94, 0.89, 0.26), (0.80, 0.47, 0.65),
    (0.84, 0.37, 0.0), (0.0, 0.45, 0.70),
)  # fmt: skip


class SlicerScene(SceneEvents):
    """The side of the panel that is Slicer's scene.

    Args:
        scene: `slicer.mrmlScene`.
        save_undo: called before a mask is written over what somebody painted, so that Slicer's own undo can
            give that back; the desktop's `segmentEditorWidget.saveStateForUndo`.
    """

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
        self._start(image, SceneView(image, views[0] if views else None))

    @property
    def is_open(self) -> bool:
        """Whether there is an image to work on."""
        return self._image is not None

    @property
    def volume(self) -> Any:
        """The volume node that the views show of the open image."""
        return self._open.volume

    @property
    def segmentation(self) -> Any:
        """The segmentation node of the open image, for Slicer's own tools; None before the first segment."""
        return self._image.segmentation if self._image else None

    @property
    def size(self) -> Size:
        """(I,J,K) voxels of the open image; (I,J,T) of a cine."""
        return self._open.size

    # -- what is looked at ------------------------------------------------------------------------------

    def set_view(self, slice_node: Any) -> None:
        """Look at the image through this slice view from now on: a slice node, or its id."""
        if isinstance(slice_node, str):
            slice_node = self.scene.GetNodeByID(slice_node)
        if self._view is not None and slice_node is not None and slice_node is not self._view.slice_node:
            self._look_through(slice_node)

    @property
    def view(self) -> Any:
        """The slice node that is looked through, or None."""
        return self._looking.slice_node

    def views(self) -> List[Any]:
        """The slice nodes whose views show the open image."""
        return views_of(self.scene, self._open.volume)

    def view_at(self, world: Sequence[float]) -> None:
        """Look through the view in whose plane a position lies; the present one, where it does."""
        if self._view is None or self._view.shows(world):
            return
        for node in self.views():
            if in_view(node, world):
                self._look_through(node)
                return

    def to_ijk(self, shown: Shown, world: Any) -> np.ndarray:
        """World positions (N,3), RAS in mm, as continuous voxels (N,3) of an image of `shown.size`."""
        return self._looking.to_ijk(shown, world)

    def to_world(self, shown: Shown, ijk: Any) -> np.ndarray:
        """Voxels (N,3) of an image of `shown.size` as world positions (N,3)."""
        return self._looking.to_world(shown, ijk)

    def voxel(self, shown: Shown, world: Sequence[float]) -> Voxel:
        """The voxel of what is shown under a world position.

        Raises:
            OutsideImage: there is none.
        """
        return self._looking.voxel(shown, world)

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

    def box(self, shown: Shown, world: Any) -> Tuple[float, float, float, float]:
        """(x0,y0,x1,y1) of a box stroke, for `PromptSet.with_box`.

        Raises:
            OutsideImage: it covers no pixel.
        """
        return box_corners(self._xy(shown, world), shown.shape)

    def scribble(self, shown: Shown, world: Any, width: float) -> np.ndarray:
        """The pixels under a scribble of `width` mm, for `PromptSet.with_scribble`.

        Raises:
            OutsideImage: there are none.
        """
        xy = self._xy(shown, world)
        middle = np.clip(xy.mean(axis=0), 0, np.array(shown.shape[::-1]) - 1)
        steps = [shown.plane.to_ijk(*(middle + step)) for step in ((0, 0), (1, 0), (0, 1))]
        origin, right, down = self.to_world(shown, steps)
        return pen_mark(xy, width, np.array([right - origin, down - origin]), shown.shape)

    def lasso(self, shown: Shown, world: Any) -> List[Tuple[float, float]]:
        """The corners of a lasso, for `PromptSet.with_lasso`.

        Raises:
            PromptsError: it encloses nothing.
        """
        return lasso_corners(self._xy(shown, world), shown.shape)

    # -- segments ---------------------------------------------------------------------------------------

    def segments(self) -> List[SegmentInfo]:
        """The segments of the open image, in Slicer's order."""
        node = self.segmentation
        if node is None:
            return []
        held = node.GetSegmentation()
        return [
            SegmentInfo(
                held.GetNthSegmentID(n),
                held.GetNthSegment(n).GetName(),
                tuple(held.GetNthSegment(n).GetColor()),
            )
            for n in range(held.GetNumberOfSegments())
        ]

    def add_segment(self, name: str, colour: Optional[Sequence[float]] = None) -> str:
        """Add an empty segment; gives its id. The segmentation node is made with the first one."""
        with self._ours():
            made = self._open.add_segment(name, colour or _COLOURS[len(self.segments()) % len(_COLOURS)])
            self._watch_segmentation()
        self._tell("segments")
        return made

    def remove_segment(self, segment: str) -> None:
        """Remove a segment with its masks and prompts; told as `segment_removed`."""
        with self._ours():
            self._open.remove_segment(segment)
        self._segments_changed()

    def load_prompts(self, segment: str) -> Optional[str]:
        """What `save_prompts` kept, also before the scene was saved and loaded; None when nothing is.

        Raises:
            SceneError: the segment does not exist.
        """
        return self._open.text(segment)

    def save_prompts(self, segment: str, text: Optional[str]) -> None:
        """Keep a text with a segment; None or nothing removes it.

        Raises:
            SceneError: the segment does not exist.
        """
        with self._ours():
            self._open.set_text(segment, text)

    # -- masks ------------------------------------------------------------------------------------------

    def write(self, segment: str, shown: Shown, mask: np.ndarray) -> None:
        """Make `mask` (rows, columns) all that a segment holds there; all else stays.

        Raises:
            SceneError: see `read`; or the mask is not of the picture's shape.
            OutsideImage: the image has no such plane.
        """
        image = self._open
        if np.shape(mask) != shown.shape:
            raise SceneError(
                f"The mask must have {shown.shape} pixels (rows, columns); got {np.shape(mask)}."
            )
        with self._ours():
            self._save_undo_once()
            image.follow_transform()
            if shown.oblique:
                cut = self._looking.cut(shown)
                oblique.write_view(image.segmentation, segment, image.volume, cut, mask)
            else:
                image.write(segment, shown.plane, mask)
        self._wrote(segment, shown, mask)

    # -- frames -----------------------------------------------------------------------------------------

    def go_to(self, index: int) -> bool:
        """Show a frame of the cine, or a slice of the volume along the view's axis; False beyond the ends."""
        image, shown = self._open, self.shown()
        if image.kind == CINE:
            if not 0 <= index < image.frames:
                return False
            cine.show_frame(image.browser, index)
            return True
        if shown is None or shown.kind != VOLUME or not 0 <= index < image.size[shown.plane.normal]:
            return False
        ijk = (np.array(image.size) - 1) / 2
        ijk[shown.plane.normal] = index
        self._looking.slice_node.JumpSliceByOffsetting(*self.to_world(shown, [ijk])[0])
        return True

    def pause(self) -> None:
        """Stop a cine that plays, so that what is drawn is of the frame that was seen."""
        image = self._image
        if image is not None and image.kind == CINE and image.browser.GetPlaybackActive():
            image.browser.SetPlaybackActive(False)

    def next_frame(self) -> bool:
        """Show the next frame or slice; False at the end."""
        return self._step(1)

    def previous_frame(self) -> bool:
        """Show the previous frame or slice; False at the start."""
        return self._step(-1)

    def done_frames(self, segment: Optional[str] = None) -> List[int]:
        """The frames marked done; with a segment, those of them where it holds something."""
        image = self._open
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
        image = self._open
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
            return cut_bytes(self._open, self._looking.cut(shown), blanked)
        return content_bytes(self._open, blanked)

    def warning(self) -> str:
        """Why the pixels may name the patient, to be told before an upload; never says that they do not."""
        return warning_text(self._open.pictures())

    def _step(self, step: int) -> bool:
        shown = self.shown()
        return shown is not None and self.go_to(shown.plane.index + step)

    def _xy(self, shown: Shown, world: Any) -> np.ndarray:
        return self.to_ijk(shown, world)[:, list(shown.plane.in_plane)]

    def _browser_of(self, volume: Any) -> Any:
        """The browser that shows the frames of a cine in this volume node."""
        for browser in nodes_of(self.scene, "vtkMRMLSequenceBrowserNode"):
            frames = browser.GetMasterSequenceNode()
            if frames is not None and browser.GetProxyNode(frames) is volume:
                return (
                    browser
                    if volume.GetImageData() and volume.GetImageData().GetDimensions()[2] == 1
                    else None
                )
        return None
