"""A cine that is open in the panel: its browser, and a segmentation for every frame.

The list of segments is one for the whole cine, though each frame holds a segmentation of its own: what is
added, renamed or removed on one frame, also with Slicer's own tools, is so on all of them.
"""

from __future__ import annotations

from typing import Any, Iterator, List, Optional, Sequence

import numpy as np

from ..prompts.planes import Plane
from ..prompts.shown import CINE
from . import cine, coordinates, export
from .open_volume import IMAGE_ROLE, PROMPTS_TAG, SEGMENTATION_NAME, nodes_of, style
from .segments import follow_transform, read_plane, segment_of, segments_of


class OpenCine:
    """A sequence browser over frames of one slice; has what `OpenVolume` has.

    Raises:
        SceneError: there are no frames, or they have more than one slice.
    """

    kind = CINE

    def __init__(self, scene: Any, browser: Any) -> None:
        self.scene = scene
        self.browser = browser
        self.size = cine.cine_size(browser)
        self.keeper = cine.frames_of(browser)
        self.masks = self._find()

    @property
    def volume(self) -> Any:
        """The volume node in which the browser shows the current frame."""
        return self.browser.GetProxyNode(self.keeper)

    @property
    def owned(self) -> List[Any]:
        """The nodes without which the cine is not there."""
        return [self.browser, self.keeper, self.volume]

    @property
    def frame(self) -> Optional[int]:
        """The frame that is shown."""
        return cine.current_frame(self.browser)

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return self.size[2]

    @property
    def segmentation(self) -> Any:
        """The segmentation node in which the browser shows the current frame's masks."""
        return self.browser.GetProxyNode(self.masks) if self.masks is not None else None

    def need_segmentation(self) -> Any:
        """The segmentation node; made, for every frame, when there is none yet."""
        if self.masks is None:
            self.masks = cine.add_masks(self.scene, self.browser, SEGMENTATION_NAME)
            self.masks.SetNodeReferenceID(IMAGE_ROLE, self.keeper.GetID())
            style(self.segmentation)
        return self.segmentation

    def forget_segmentation(self) -> None:
        """The masks were removed from the scene, or their node was: then the sequence goes too."""
        masks, self.masks = self.masks, None
        if masks is not None and masks.GetScene() is not None:
            self.browser.RemoveSynchronizedSequenceNode(masks.GetID())
            self.scene.RemoveNode(masks)

    def follow_transform(self) -> None:
        """Put the masks under the transform that the image is under now."""
        follow_transform(self.segmentation, self.volume)

    def add_segment(self, name: str, colour: Sequence[float]) -> str:
        """Add an empty segment to every frame; gives its id."""
        self.need_segmentation()
        return cine.add_segment(self.browser, self.masks, name, colour)

    def remove_segment(self, segment: str) -> None:
        """Remove a segment from every frame."""
        for node in self._all_masks():
            node.GetSegmentation().RemoveSegment(segment)
        if self.masks is not None:
            self.masks.RemoveAttribute(_attribute(segment))

    def sync_segments(self) -> None:
        """Give every frame the segments, names and colours of the one that is shown."""
        if self.masks is None:
            return
        wanted = {segment.id: segment for segment in segments_of(self.segmentation)}
        for node in self._all_masks()[1:]:
            held = {segment.id: segment for segment in segments_of(node)}
            segmentation = node.GetSegmentation()
            for segment in held.keys() - wanted.keys():
                segmentation.RemoveSegment(segment)
            for segment, info in wanted.items():
                if segment not in held:
                    segmentation.AddEmptySegment(segment, info.name, list(info.colour))
                elif held[segment] != info:
                    segmentation.GetSegment(segment).SetName(info.name)
                    segmentation.GetSegment(segment).SetColor(*info.colour)

    def read(self, segment: str, plane: Plane) -> np.ndarray:
        """(rows, columns) bool of a segment on a frame."""
        self._need_segment(segment)
        if plane.index == self.frame:  # what is drawn now may not be saved into the sequence yet
            return read_plane(self.segmentation, segment, self.volume, cine.FRAME_PLANE)
        return cine.read_frame(self.browser, self.masks, plane.index, segment)

    def write(self, segment: str, plane: Plane, mask: np.ndarray) -> None:
        """Make `mask` all that a segment holds on a frame."""
        self._need_segment(segment)
        cine.write_frame(self.browser, self.masks, plane.index, segment, mask)

    def each_picture(self) -> Iterator[np.ndarray]:
        """Frame by frame, (J,I) or (J,I,C); views, not copies."""
        return (cine.frame_array(self.browser, frame) for frame in range(self.frames))

    def pictures(self) -> np.ndarray:
        """The frames, (T,J,I) or (T,J,I,C)."""
        return cine.all_frames(self.browser)

    def ijk_to_ras(self) -> np.ndarray:
        """4x4 of the first frame, without parent transforms."""
        return coordinates.matrix_of(self.keeper.GetNthDataNode(0).GetIJKToRASMatrix)

    def content(self) -> bytes:
        """The cine as it is uploaded."""
        return export.cine_bytes(self.browser)

    def text(self, segment: str) -> Optional[str]:
        """What is kept with a segment.

        It is an attribute of the sequence: a segment tag would be one frame's only, and go with it.
        """
        self._need_segment(segment)
        return self.masks.GetAttribute(_attribute(segment)) or None

    def set_text(self, segment: str, text: Optional[str]) -> None:
        """Keep a text with a segment; None removes it."""
        self._need_segment(segment)
        if text:
            self.masks.SetAttribute(_attribute(segment), text)
        else:
            self.masks.RemoveAttribute(_attribute(segment))

    def _need_segment(self, segment: str) -> None:
        whole = self.masks is not None and self.masks.GetNumberOfDataNodes() >= self.frames
        segment_of(self.segmentation if whole else None, segment)

    def _all_masks(self) -> List[Any]:
        """The shown segmentation, then that of every frame."""
        if self.masks is None:
            return []
        count = self.masks.GetNumberOfDataNodes()
        return [self.segmentation, *(self.masks.GetNthDataNode(n) for n in range(count))]

    def _find(self) -> Any:
        """The masks that were made for this cine."""
        for node in nodes_of(self.scene, "vtkMRMLSequenceNode"):
            if (
                node.GetNodeReference(IMAGE_ROLE) is self.keeper
                and self.browser.GetProxyNode(node) is not None
            ):
                return node
        return None


def _attribute(segment: str) -> str:
    return f"{PROMPTS_TAG}.{segment}"
