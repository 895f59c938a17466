"""Between the scene and the voxels of an image: places, planes, arrays.

World positions are RAS in mm, as `GetNthControlPointPositionWorld` gives them; arrays are (K,J,I) as
`slicer.util.arrayFromVolume` gives them. Parent transforms count, also nonlinear ones.
"""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from .errors import OutsideImage, SceneError
from .planes import Plane, Size, Voxel, describe, nearest_voxel

# Half of half a voxel: a view that drifts less across the whole image shows one slice.
_MAX_DRIFT = 0.25


class PlacedPoint(NamedTuple):
    """A control point that lies on the image: its id in the markups node and the voxel under it."""

    key: str
    ijk: Voxel


def image_size(volume: Any) -> Size:
    """(I,J,K) voxels of a volume node.

    Raises:
        SceneError: there is no volume, or it holds no voxels.
    """
    image = volume.GetImageData() if volume is not None else None
    if image is None or min(image.GetDimensions()) < 1:
        raise SceneError("Expected a volume with voxels; got none. Load or choose an image first.")
    return tuple(image.GetDimensions())


def voxels(volume: Any) -> np.ndarray:
    """The voxels of a volume node, (K,J,I) or (K,J,I,C); a view, not a copy."""
    i, j, k = image_size(volume)
    scalars = volume.GetImageData().GetPointData().GetScalars()
    channels = scalars.GetNumberOfComponents()
    return vtk_to_numpy(scalars).reshape((k, j, i) if channels == 1 else (k, j, i, channels))


def array_of(matrix: Any) -> np.ndarray:
    """A VTK matrix as a 4x4 array."""
    return np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)])


def matrix_of(fill: Any) -> np.ndarray:
    """The 4x4 array that a node's `Get...Matrix` method writes."""
    matrix = vtk.vtkMatrix4x4()
    fill(matrix)
    return array_of(matrix)


def world_to_ijk(volume: Any, world: Any) -> np.ndarray:
    """World positions (N,3) as continuous voxel coordinates (N,3) of a volume."""
    local = _between(None, volume.GetParentTransformNode(), np.asarray(world, float).reshape(-1, 3))
    return _apply(np.linalg.inv(matrix_of(volume.GetIJKToRASMatrix)), local)


def ijk_to_world(volume: Any, ijk: Any) -> np.ndarray:
    """Voxel coordinates (N,3) of a volume as world positions (N,3)."""
    local = _apply(matrix_of(volume.GetIJKToRASMatrix), np.asarray(ijk, float).reshape(-1, 3))
    return _between(volume.GetParentTransformNode(), None, local)


def voxel_at(volume: Any, world: Sequence[float]) -> Voxel:
    """The voxel that holds a world position.

    Raises:
        OutsideImage: the position is not on the image; the text gives its size.
    """
    return nearest_voxel(world_to_ijk(volume, [world])[0], image_size(volume))


def points_on(markups: Any, volume: Any) -> List[PlacedPoint]:
    """The control points of a markups node that are placed, as voxels of a volume.

    Raises:
        OutsideImage: one of them is not on the image.
    """
    return [
        PlacedPoint(
            markups.GetNthControlPointID(n), voxel_at(volume, markups.GetNthControlPointPositionWorld(n))
        )
        for n in range(markups.GetNumberOfControlPoints())
        if markups.GetNthControlPointPositionStatus(n) == slicer.vtkMRMLMarkupsNode.PositionDefined
    ]


def box_on(roi: Any, volume: Any, plane: Plane) -> Tuple[float, float, float, float]:
    """The box (x0,y0,x1,y1) that a ROI node covers on a plane's picture, cut at the picture's edge.

    Only the ROI's extent within the plane counts: one drawn in a slice view has a depth nobody chose.

    Raises:
        OutsideImage: the ROI covers no pixel of the picture.
    """
    size = image_size(volume)
    half = np.array(roi.GetSize()) / 2
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    to_world = roi.GetObjectToWorldMatrix()
    corners = [to_world.MultiplyPoint([*corner, 1.0])[:3] for corner in signs * half]
    ijk = world_to_ijk(volume, corners)
    low, high = ijk.min(axis=0), ijk.max(axis=0)
    box: List[float] = []
    for axis in plane.in_plane:
        first, last = max(low[axis], 0.0), min(high[axis], size[axis] - 1.0)
        if first > last:
            raise OutsideImage(f"The box lies outside {describe(size)}. Draw it over the image.")
        box += [float(first), float(last)]
    return box[0], box[2], box[1], box[3]


def lasso_on(curve: Any, volume: Any, plane: Plane) -> List[Tuple[float, float]]:
    """A closed curve node as (x,y) corners on a plane's picture, cut at the picture's edge.

    Raises:
        SceneError: the curve has fewer than three points.
    """
    points = curve.GetCurvePointsWorld()
    if points is None or points.GetNumberOfPoints() < 3:
        raise SceneError("Expected a closed curve of 3 points or more; got fewer. Draw a longer outline.")
    ijk = world_to_ijk(volume, vtk_to_numpy(points.GetData()))
    rows, columns = plane.shape(image_size(volume))
    x = np.clip(ijk[:, plane.in_plane[0]], 0, columns - 1)
    y = np.clip(ijk[:, plane.in_plane[1]], 0, rows - 1)
    return list(zip(x.tolist(), y.tolist()))  # noqa: B905 - Python 3.9


def shown_plane(slice_node: Any, volume: Any) -> Optional[Plane]:
    """The plane of a volume that a slice view shows; None when the view cuts it obliquely.

    A view through a nonlinear transform is always oblique. See `oblique` for what to do then.

    Raises:
        OutsideImage: the view lies before the first or behind the last plane.
    """
    size = image_size(volume)
    parent = volume.GetParentTransformNode()
    if parent is not None and not parent.IsTransformToWorldLinear():
        return None
    to_ras = array_of(slice_node.GetSliceToRAS())
    origin = to_ras[:3, 3]
    middle, right, up = world_to_ijk(volume, [origin, origin + to_ras[:3, 0], origin + to_ras[:3, 1]])
    normal = np.abs(np.cross(right - middle, up - middle))
    axis = int(normal.argmax())
    drift = sum(normal[n] * (size[n] - 1) for n in range(3) if n != axis) / normal[axis]
    if drift > _MAX_DRIFT:
        return None
    # An offset exactly between two slices may come out a hair off either of them.
    plane = Plane("ijk"[axis], int(np.floor(middle[axis] + 0.5 - 1e-6)))
    plane.check(size)
    return plane


def _between(source: Any, target: Any, points: np.ndarray) -> np.ndarray:
    """Points (N,3) of one transform node's coordinates in another's; None is the world."""
    if source is target:
        return points
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(source, target, transform)
    given, moved = vtk.vtkPoints(), vtk.vtkPoints()
    moved.SetDataTypeToDouble()
    given.SetData(numpy_to_vtk(np.ascontiguousarray(points), deep=1, array_type=vtk.VTK_DOUBLE))
    transform.TransformPoints(given, moved)
    return vtk_to_numpy(moved.GetData()).copy()


def _apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:3, :3].T + matrix[:3, 3]
