"""Reads and writes masks of segments, one slice or block at a time.

Arrays are (K,J,I) over the voxels of the image, pictures (rows, columns) of a plane.
"""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..errors import SceneError
from ..prompts.planes import Plane
from ..prompts.shown import SegmentInfo
from .coordinates import image_size, matrix_of, vtk_matrix_of


def new_segmentation(scene: Any, volume: Any, name: str) -> Any:
    """A segmentation node with the geometry of a volume, under the same transform, with a display node."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    # After the transform: otherwise the geometry would contain it, and saving would resample the masks.
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return node


def segments_of(segmentation: Any) -> List[SegmentInfo]:
    """The segments of a segmentation node, in Slicer's order."""
    held = segmentation.GetSegmentation()
    numbered = ((held.GetNthSegmentID(n), held.GetNthSegment(n)) for n in range(held.GetNumberOfSegments()))
    return [SegmentInfo(name, segment.GetName(), tuple(segment.GetColor())) for name, segment in numbered]


def segment_of(segmentation: Any, segment: str) -> Any:
    """The segment with an ID.

    Raises:
        SceneError: it does not exist.
    """
    held = segmentation.GetSegmentation().GetSegment(segment) if segmentation is not None else None
    if held is None:
        raise SceneError("The segment no longer exists. Choose or add a segment, then try again.")
    return held


def follow_transform(segmentation: Any, volume: Any) -> None:
    """Put a segmentation under the current transform of its volume."""
    if segmentation is not None and segmentation.GetTransformNodeID() != volume.GetTransformNodeID():
        segmentation.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
        segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)


def write_plane(segmentation: Any, segment: str, volume: Any, plane: Plane, mask: np.ndarray) -> None:
    """Make `mask` (rows, columns) the whole content of `segment` on one plane; the rest stays.

    Raises:
        OutsideImage: the image has no such plane.
        SceneError: see `write_block`; or the mask is not of the plane's shape.
    """
    size = image_size(volume)
    plane.check(size)
    if np.shape(mask) != plane.shape(size):
        raise SceneError(
            f"The mask must have {plane.shape(size)} pixels (rows, columns); got {np.shape(mask)}. "
            "Ask again for this image."
        )
    block = np.expand_dims(np.asarray(mask, bool), 2 - plane.normal)
    write_block(segmentation, segment, volume, plane.extent(size), block)


def write_block(
    segmentation: Any,
    segment: str,
    volume: Any,
    extent: Sequence[int],
    mask: np.ndarray,
    where: Optional[np.ndarray] = None,
) -> None:
    """Make `mask` the whole content of `segment` within a block of voxels; the rest of it stays as it is.

    Segments may overlap: no other segment is ever changed.

    Args:
        extent: (i0,i1,j0,j1,k0,k1) of the block, inclusive.
        mask: (K,J,I) bool over the block.
        where: (K,J,I) bool, the voxels of the block to replace; all of them by default.

    Raises:
        SceneError: the segment does not exist, or its voxels do not lie on those of the volume.
    """
    labelmap = check_fit(segmentation, segment, volume)
    where = np.ones(mask.shape, bool) if where is None else where
    if labelmap is None or not _edit(labelmap, segmentation, segment, volume, extent, mask & where, where):
        _merge(segmentation, segment, volume, extent, mask, where)


def _edit(
    labelmap: Any,
    segmentation: Any,
    segment: str,
    volume: Any,
    extent: Sequence[int],
    mask: np.ndarray,
    where: np.ndarray,
) -> bool:
    """Change a block of the labelmap in place; returns False where that is not possible.

    It is not possible where a voxel belongs to another segment of the same layer. Slicer's own functions
    handle that case, but take time for every voxel of the labelmap (160 ms at 256^3), not for the block only.
    """
    held = segmentation.GetSegmentation().GetSegment(segment)
    others = _other_kinds(segmentation.GetSegmentation(), held)
    low = np.array(extent).reshape(3, 2)[:, 0] - _shift(labelmap, volume)
    high = low + mask.shape[::-1] - 1
    has = _bounds(labelmap)
    if (low < has[:, 0]).any() or (high > has[:, 1]).any():
        _make_room(labelmap, segmentation, volume)
        has = _bounds(labelmap)
    labels = _labels(labelmap)
    block = labels[_slices(low - has[:, 0], high - has[:, 0])]
    value = held.GetLabelValue()
    if (mask & (block != 0) & (block != value)).any():
        return False
    block[where & (block == value)] = 0
    block[mask] = value
    labelmap.GetPointData().GetScalars().Modified()
    was_modifying = segmentation.StartModify()
    labelmap.Modified()  # makes Slicer drop the surface
    if others and (labels == value).any():
        for kind in others:
            segmentation.GetSegmentation().CreateRepresentation(kind)
    # The slice views redraw on this event.
    segmentation.GetSegmentation().InvokeEvent(slicer.vtkSegmentation.RepresentationModified, segment)
    segmentation.EndModify(was_modifying)
    return True


def _other_kinds(segmentation: Any, held: Any) -> List[str]:
    """The representations of a segment besides its labelmap: usually a surface while it is shown in 3D."""
    names: List[str] = []
    held.GetContainedRepresentationNames(names)
    return [name for name in names if name != segmentation.GetSourceRepresentationName()]


def _make_room(labelmap: Any, segmentation: Any, volume: Any) -> None:
    """Extend a labelmap to the whole image once, so that it need not grow slice by slice."""
    size, shift = np.array(image_size(volume)), _shift(labelmap, volume)
    has = _bounds(labelmap)
    extent = np.column_stack([np.minimum(has[:, 0], -shift), np.maximum(has[:, 1], size - 1 - shift)])
    pad = vtk.vtkImageConstantPad()
    pad.SetInputData(labelmap)
    pad.SetOutputWholeExtent(*extent.ravel().tolist())
    pad.Update()
    padded = slicer.vtkOrientedImageData()
    padded.ShallowCopy(pad.GetOutput())
    padded.SetGeometryFromImageToWorldMatrix(vtk_matrix_of(labelmap.GetImageToWorldMatrix))
    # Copied into the same object, which several segments may share.
    was_modifying = segmentation.StartModify()
    labelmap.ShallowCopy(padded)
    segmentation.EndModify(was_modifying)


def _merge(
    segmentation: Any,
    segment: str,
    volume: Any,
    extent: Sequence[int],
    mask: np.ndarray,
    where: np.ndarray,
) -> None:
    """Erase and add with Slicer's own functions, which move a segment to a layer of its own if necessary."""
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    # MODE_REPLACE would clear the segment outside the extent too: erase, then add. MODE_MERGE_MAX would
    # add the value 1, which in a layer shared by several segments is the first one's, not this one's.
    steps = ((~where, logic.MODE_MERGE_MIN), (mask & where, logic.MODE_MERGE_MASK))
    # Without this, the views would briefly show the erased plane between the two steps.
    was_modifying = segmentation.StartModify()
    try:
        for labels, mode in steps:
            done = logic.SetBinaryLabelmapToSegment(
                _oriented(labels, volume, extent), segmentation, segment, mode, list(extent), False, []
            )
            if not done:
                raise SceneError("The mask could not be written. Check that the segment still exists.")
    finally:
        segmentation.EndModify(was_modifying)


def read_plane(segmentation: Any, segment: str, volume: Any, plane: Plane) -> np.ndarray:
    """The mask of `segment` on one plane of a volume: (rows, columns) bool.

    Raises:
        OutsideImage: the image has no such plane.
        SceneError: see `write_block`.
    """
    size = image_size(volume)
    plane.check(size)
    return np.squeeze(read_block(segmentation, segment, volume, plane.extent(size)), axis=2 - plane.normal)


def read_block(segmentation: Any, segment: str, volume: Any, extent: Sequence[int]) -> np.ndarray:
    """The mask of `segment` in a block (i0,i1,j0,j1,k0,k1, inclusive): (K,J,I) bool.

    Raises:
        SceneError: see `write_block`.
    """
    labelmap = check_fit(segmentation, segment, volume)
    i0, i1, j0, j1, k0, k1 = extent
    block = np.zeros((k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1), bool)
    if labelmap is None:
        return block
    shift = _shift(labelmap, volume)
    held = _bounds(labelmap) + shift[:, None]
    low = np.maximum(held[:, 0], [i0, j0, k0])
    high = np.minimum(held[:, 1], [i1, j1, k1])
    if (low > high).any():
        return block
    value = segmentation.GetSegmentation().GetSegment(segment).GetLabelValue()
    labels = _labels(labelmap)[_slices(low - held[:, 0], high - held[:, 0])]
    block[_slices(low - [i0, j0, k0], high - [i0, j0, k0])] = labels == value
    return block


def _bounds(labelmap: Any) -> np.ndarray:
    """(3,2): the first and last voxel of a labelmap along i, j, k."""
    return np.array(labelmap.GetExtent()).reshape(3, 2)


def _labels(labelmap: Any) -> np.ndarray:
    """The label values of a labelmap, (K,J,I); a view, not a copy."""
    dimensions, scalars = labelmap.GetDimensions(), labelmap.GetPointData().GetScalars()
    if scalars is None or scalars.GetNumberOfTuples() != np.prod(dimensions):  # another tool is writing
        raise SceneError("The segment is being changed by another tool. Try again.")
    return vtk_to_numpy(scalars).reshape(dimensions[::-1])


def _slices(low: np.ndarray, high: np.ndarray) -> Tuple[slice, ...]:
    """The block from voxel `low` to `high` (i,j,k, inclusive) of a (K,J,I) array."""
    return tuple(slice(low[n], high[n] + 1) for n in (2, 1, 0))


def check_fit(segmentation: Any, segment: str, volume: Any) -> Any:
    """The labelmap that holds `segment`, None while it is empty.

    Raises:
        SceneError: the segment does not exist, or its voxels do not lie on those of the volume.
    """
    held = segment_of(segmentation, segment)
    if segmentation.GetParentTransformNode() is not volume.GetParentTransformNode():
        raise SceneError(
            "The segmentation and its image are under different transforms. Put both under the same one."
        )
    labelmap = held.GetRepresentation(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName())
    if labelmap is None or labelmap.IsEmpty():
        return None
    _shift(labelmap, volume)
    return labelmap


def _shift(labelmap: Any, volume: Any) -> np.ndarray:
    """Voxels from the labelmap's ijk to the volume's."""
    to_volume = np.linalg.inv(matrix_of(volume.GetIJKToRASMatrix)) @ matrix_of(labelmap.GetImageToWorldMatrix)
    shift = np.round(to_volume[:3, 3])
    expected = np.eye(4)
    expected[:3, 3] = shift
    if not np.allclose(to_volume, expected, atol=1e-3):
        raise SceneError(
            "The segment's voxels do not lie on those of the image. Set the image as the segmentation's "
            "source geometry, or use a new segmentation."
        )
    return shift.astype(int)


def _oriented(labels: np.ndarray, volume: Any, extent: Sequence[int]) -> Any:
    image = slicer.vtkOrientedImageData()
    image.SetExtent(*extent)
    flat = np.ascontiguousarray(labels, np.uint8).ravel()
    image.GetPointData().SetScalars(numpy_to_vtk(flat, deep=1, array_type=vtk.VTK_UNSIGNED_CHAR))
    image.SetGeometryFromImageToWorldMatrix(vtk_matrix_of(volume.GetIJKToRASMatrix))
    return image
