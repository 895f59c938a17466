"""A cine that is open in the panel: its browser, and a segmentation for every frame.

The server knows a cine as one image of (I,J,T) voxels whose slice k is the frame; in the scene every frame is
a one-slice volume of its own with k = 0. A frame is an item number of the browser, never a slice offset.

The list of segments is one for the whole cine, although each frame holds a segmentation of its own: a segment
that is added, renamed or removed on one frame, also with Slicer's own tools, is so on all of them.
"""

from __future__ import annotations

from typing import Any, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import slicer

from ..errors import SceneError
from ..prompts.planes import Plane, Size
from ..prompts.shown import CINE
from . import coordinates
from .open_volume import IMAGE_ROLE, PROMPTS_TAG, SEGMENTATION_NAME, nodes_of, style
from .segments import follow_transform, new_segmentation, read_plane, segment_of, segments_of, write_plane

FRAME_PLANE = Plane("k", 0)


class OpenCine:
    """A sequence browser over one-slice volumes; offers what `OpenVolume` offers.

    Raises:
        SceneError: the browser has no frames, or they have more than one slice.
    """

    kind = CINE

    def __init__(self, scene: Any, browser: Any) -> None:
        self.scene, self.browser = scene, browser
        self.keeper = browser.GetMasterSequenceNode()
        if self.keeper is None or self.keeper.GetNumberOfDataNodes() == 0:
            raise SceneError(
                "Expected a sequence browser with frames; got an empty one. Load or choose a cine first."
            )
        i, j, k = coordinates.image_size(self.keeper.GetNthDataNode(0))
        if k != 1:
            raise SceneError(f"Expected frames of one slice; got {k} slices. Work on each volume separately.")
        self.size: Size = (i, j, self.keeper.GetNumberOfDataNodes())
        self.masks = self._find()

    @property
    def volume(self) -> Any:
        """The volume node in which the browser shows the current frame."""
        return self.browser.GetProxyNode(self.keeper)

    @property
    def owned(self) -> List[Any]:
        """The nodes the cine consists of: if one is removed, the image is closed."""
        return [self.browser, self.keeper, self.volume]

    @property
    def frame(self) -> Optional[int]:
        """The frame that is shown.

        Raises:
            SceneError: no frame is selected.
        """
        frame: int = self.browser.GetSelectedItemNumber()
        if frame < 0:
            raise SceneError("No frame of the cine is selected. Move the sequence slider to a frame.")
        return frame

    @property
    def frames(self) -> int:
        """The number of frames."""
        return self.size[2]

    def show(self, frame: int) -> None:
        """Have the browser show a frame."""
        self.browser.SetSelectedItemNumber(frame)
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(self.browser)

    @property
    def segmentation(self) -> Any:
        """The segmentation node in which the browser shows the current frame's masks."""
        return self.browser.GetProxyNode(self.masks) if self.masks is not None else None

    def need_segmentation(self) -> Any:
        """The segmentation node; with the first call, an empty segmentation is created for every frame."""
        if self.masks is None:
            segmentation = new_segmentation(self.scene, self.volume, SEGMENTATION_NAME)
            masks = self.scene.AddNewNodeByClass("vtkMRMLSequenceNode", f"{SEGMENTATION_NAME} frames")
            masks.SetIndexName(self.keeper.GetIndexName())
            masks.SetIndexUnit(self.keeper.GetIndexUnit())
            masks.SetIndexType(self.keeper.GetIndexType())
            # All frames at once: Slicer would drop what is drawn on a frame without an item of its own.
            for frame in range(self.frames):
                masks.SetDataNodeAtValue(segmentation, self.keeper.GetNthIndexValue(frame))
            self.browser.AddSynchronizedSequenceNodeID(masks.GetID())
            self.browser.AddProxyNode(segmentation, masks, False)
            self.browser.SetSaveChanges(masks, True)
            masks.SetNodeReferenceID(IMAGE_ROLE, self.keeper.GetID())
            self.masks = masks
            style(self.segmentation)
        return self.segmentation

    def forget_segmentation(self) -> None:
        """The masks or their node were removed from the scene: remove the sequence of masks too."""
        masks, self.masks = self.masks, None
        if masks is not None and masks.GetScene() is not None:
            self.browser.RemoveSynchronizedSequenceNode(masks.GetID())
            self.scene.RemoveNode(masks)

    def follow_transform(self) -> None:
        """Put the masks under the current transform of the image."""
        follow_transform(self.segmentation, self.volume)

    def add_segment(self, name: str, colour: Sequence[float]) -> str:
        """Add an empty segment to every frame; returns its ID, the same on all of them."""
        self.need_segmentation()
        nodes = self._all_masks()
        taken = {s for node in nodes for s in node.GetSegmentation().GetSegmentIDs()}
        numbered = (name, *(f"{name}_{n}" for n in range(1, len(taken) + 2)))
        segment = next(s for s in numbered if s not in taken)
        for node in nodes:
            if node.GetSegmentation().GetSegment(segment) is None:
                node.GetSegmentation().AddEmptySegment(segment, name, list(colour))
        return segment

    def remove_segment(self, segment: str) -> None:
        """Remove a segment from every frame."""
        for node in self._all_masks():
            node.GetSegmentation().RemoveSegment(segment)
        if self.masks is not None:
            self.masks.RemoveAttribute(_attribute(segment))

    def sync_segments(self) -> None:
        """Give every frame the segments, names and colours of the frame that is shown."""
        if self.masks is None:
            return
        current = {segment.id: segment for segment in segments_of(self.segmentation)}
        for node in self._all_masks()[1:]:
            held = {segment.id: segment for segment in segments_of(node)}
            segmentation = node.GetSegmentation()
            for segment in held.keys() - current.keys():
                segmentation.RemoveSegment(segment)
            for segment, info in current.items():
                if segment not in held:
                    segmentation.AddEmptySegment(segment, info.name, list(info.colour))
                elif held[segment] != info:
                    segmentation.GetSegment(segment).SetName(info.name)
                    segmentation.GetSegment(segment).SetColor(*info.colour)

    def read(self, segment: str, plane: Plane) -> np.ndarray:
        """(rows, columns) bool of a segment on a frame."""
        segmentation, image = self._nodes_at(segment, plane)
        return read_plane(segmentation, segment, image, FRAME_PLANE)

    def write(self, segment: str, plane: Plane, mask: np.ndarray) -> None:
        """Make `mask` the whole content of a segment on a frame; other frames and segments stay."""
        segmentation, image = self._nodes_at(segment, plane)
        write_plane(segmentation, segment, image, FRAME_PLANE, mask)

    def each_picture(self) -> Iterator[np.ndarray]:
        """Frame by frame, (J,I) or (J,I,C); views, not copies."""
        return (coordinates.voxels(self.keeper.GetNthDataNode(n))[0] for n in range(self.frames))

    def pictures(self) -> np.ndarray:
        """All frames, (T,J,I) or (T,J,I,C).

        Raises:
            SceneError: the frames differ in size.
        """
        frames = list(self.each_picture())
        if len({frame.shape for frame in frames}) != 1:
            raise SceneError(
                "Expected frames of one size; got several. Split the cine where its size changes."
            )
        return np.stack(frames)

    def ijk_to_ras(self) -> np.ndarray:
        """4x4 of the first frame, without parent transforms."""
        return coordinates.matrix_of(self.keeper.GetNthDataNode(0).GetIJKToRASMatrix)

    def text(self, segment: str) -> Optional[str]:
        """The text stored with a segment.

        It is an attribute of the sequence: a segment tag would belong to one frame only, and go with it.
        """
        self._need_segment(segment)
        return self.masks.GetAttribute(_attribute(segment)) or None

    def set_text(self, segment: str, text: Optional[str]) -> None:
        """Store a text with a segment; None removes it."""
        self._need_segment(segment)
        if text:
            self.masks.SetAttribute(_attribute(segment), text)
        else:
            self.masks.RemoveAttribute(_attribute(segment))

    def _need_segment(self, segment: str) -> None:
        complete = self.masks is not None and self.masks.GetNumberOfDataNodes() >= self.frames
        segment_of(self.segmentation if complete else None, segment)

    def _nodes_at(self, segment: str, plane: Plane) -> Tuple[Any, Any]:
        """The segmentation and the volume node of a frame.

        Raises:
            SceneError: the segment does not exist.
            OutsideImage: the cine has no such frame.
        """
        self._need_segment(segment)
        plane.check(self.size)
        if plane.index == self.frame:
            # The browser shows copies and saves them back into the sequences later: only the copy is sure to
            # hold what was drawn last, and a write into the sequence would be overwritten by the copy.
            return self.segmentation, self.volume
        return self.masks.GetNthDataNode(plane.index), self.keeper.GetNthDataNode(plane.index)

    def _all_masks(self) -> List[Any]:
        """The shown segmentation, then that of every frame."""
        if self.masks is None:
            return []
        count = self.masks.GetNumberOfDataNodes()
        return [self.segmentation, *(self.masks.GetNthDataNode(n) for n in range(count))]

    def _find(self) -> Any:
        """The sequence of masks that was created for this cine."""
        sequences = nodes_of(self.scene, "vtkMRMLSequenceNode")
        own = (node for node in sequences if node.GetNodeReference(IMAGE_ROLE) is self.keeper)
        return next((node for node in own if self.browser.GetProxyNode(node) is not None), None)


def _attribute(segment: str) -> str:
    return f"{PROMPTS_TAG}.{segment}"
