"""A still or a volume that is open in the panel: its node, its segmentation, its stored texts."""

from __future__ import annotations

from typing import Any, Iterator, List, Optional, Sequence

import numpy as np
import slicer
import vtk

from ..prompts.planes import Plane, Size
from ..prompts.shown import STILL, VOLUME
from . import coordinates
from .segments import follow_transform, new_segmentation, read_plane, segment_of, write_plane

IMAGE_ROLE = "UniUltra.image"
PROMPTS_TAG = "UniUltra.Prompts"
SEGMENTATION_NAME = "UniUltra"


class OpenVolume:
    """A volume node of one slice (a still) or more (a volume).

    Raises:
        SceneError: the node holds no voxels.
    """

    frame: Optional[int] = None
    frames = 1

    def __init__(self, scene: Any, volume: Any) -> None:
        self.scene = scene
        self.volume = volume
        self.size: Size = coordinates.image_size(volume)
        self.kind = STILL if self.size[2] == 1 else VOLUME
        self.segmentation = self._find()
        self.keeper = volume  # the node whose attributes hold the done frames

    @property
    def owned(self) -> List[Any]:
        """The nodes the image consists of: if one is removed, the image is closed."""
        return [self.volume]

    def need_segmentation(self) -> Any:
        """The segmentation node, created by the first call."""
        if self.segmentation is None:
            self.segmentation = new_segmentation(self.scene, self.volume, SEGMENTATION_NAME)
            self.segmentation.SetNodeReferenceID(IMAGE_ROLE, self.volume.GetID())
            style(self.segmentation)
        return self.segmentation

    def forget_segmentation(self) -> None:
        """The segmentation was removed from the scene."""
        self.segmentation = None

    def follow_transform(self) -> None:
        """Put the segmentation, if this module created it, under the current transform of the image."""
        node = self.segmentation
        if node is not None and node.GetNodeReference(IMAGE_ROLE) is self.keeper:
            follow_transform(node, self.volume)

    def add_segment(self, name: str, colour: Sequence[float]) -> str:
        """Add an empty segment; returns its ID."""
        return self.need_segmentation().GetSegmentation().AddEmptySegment("", name, list(colour))

    def remove_segment(self, segment: str) -> None:
        """Remove a segment if it exists."""
        if self.segmentation is not None:
            self.segmentation.GetSegmentation().RemoveSegment(segment)

    def sync_segments(self) -> None:
        """Nothing to do: a volume has a single list of segments."""

    def read(self, segment: str, plane: Plane) -> np.ndarray:
        """(rows, columns) bool of a segment on a plane."""
        return read_plane(self.segmentation, segment, self.volume, plane)

    def write(self, segment: str, plane: Plane, mask: np.ndarray) -> None:
        """Make `mask` the whole content of a segment on a plane."""
        write_plane(self.segmentation, segment, self.volume, plane, mask)

    def each_picture(self) -> Iterator[np.ndarray]:
        """Slice by slice, (J,I) or (J,I,C); views, not copies."""
        return iter(coordinates.voxels(self.volume))

    def pictures(self) -> np.ndarray:
        """The voxels, (K,J,I) or (K,J,I,C)."""
        return coordinates.voxels(self.volume)

    def ijk_to_ras(self) -> np.ndarray:
        """4x4, from voxels to the image's own RAS, without parent transforms."""
        return coordinates.matrix_of(self.volume.GetIJKToRASMatrix)

    def text(self, segment: str) -> Optional[str]:
        """The text stored with a segment."""
        held, text = segment_of(self.segmentation, segment), vtk.reference("")
        return str(text) or None if held.GetTag(PROMPTS_TAG, text) else None

    def set_text(self, segment: str, text: Optional[str]) -> None:
        """Store a text with a segment; None removes it."""
        held = segment_of(self.segmentation, segment)
        if text:
            held.SetTag(PROMPTS_TAG, text)
        else:
            held.RemoveTag(PROMPTS_TAG)

    def _find(self) -> Any:
        """The segmentation created for this image, else one drawn on it."""
        geometry = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
        nodes = nodes_of(self.scene, "vtkMRMLSegmentationNode")
        for role in (IMAGE_ROLE, geometry):
            for node in nodes:
                if node.GetNodeReference(role) is self.volume:
                    return node
        return None


def nodes_of(scene: Any, class_name: str) -> List[Any]:
    """The nodes of a class, in the order of the scene."""
    return [scene.GetNthNodeByClass(n, class_name) for n in range(scene.GetNumberOfNodesByClass(class_name))]


def style(segmentation: Any) -> None:
    """A translucent fill, so that the speckle stays visible, and an opaque outline."""
    display = segmentation.GetDisplayNode()
    display.SetOpacity2DFill(0.3)
    display.SetOpacity2DOutline(1.0)
    display.SetSliceIntersectionThickness(2)
