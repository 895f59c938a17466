"""Conversions between positions in the scene and voxels of an image.

World positions are RAS in mm, as `GetNthControlPointPositionWorld` gives them; arrays are (K,J,I) as
`slicer.util.arrayFromVolume` gives them. Parent transforms are applied, nonlinear ones too.
"""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..errors import SceneError
from ..prompts.planes import Plane, Size

# A quarter of a voxel: a view that deviates less from a slice across the whole image shows that slice.
_MAX_DRIFT = 0.25


def image_size(volume: Any) -> Size:
    """(I,J,K) voxels of a volume node.

    Raises:
        SceneError: the volume is None or holds no voxels.
    """
    image = volume.GetImageData() if volume is not None else None
    if image is None or min(image.GetDimensions()) < 1:
        raise SceneError("Expected a volume with voxels; got an empty one. Load or choose an image first.")
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


def vtk_matrix_of(fill: Any) -> Any:
    """The VTK matrix that a node's `Get...Matrix` method fills."""
    matrix = vtk.vtkMatrix4x4()
    fill(matrix)
    return matrix


def matrix_of(fill: Any) -> np.ndarray:
    """The 4x4 array that a node's `Get...Matrix` method fills."""
    return array_of(vtk_matrix_of(fill))


def world_to_ijk(volume: Any, world: Any) -> np.ndarray:
    """World positions (N,3) as continuous voxel coordinates (N,3) of a volume."""
    local = _between(None, volume.GetParentTransformNode(), np.asarray(world, float).reshape(-1, 3))
    return apply_matrix(np.linalg.inv(matrix_of(volume.GetIJKToRASMatrix)), local)


def ijk_to_world(volume: Any, ijk: Any) -> np.ndarray:
    """Voxel coordinates (N,3) of a volume as world positions (N,3)."""
    local = apply_matrix(matrix_of(volume.GetIJKToRASMatrix), np.asarray(ijk, float).reshape(-1, 3))
    return _between(volume.GetParentTransformNode(), None, local)


def shown_plane(slice_node: Any, volume: Any) -> Optional[Plane]:
    """The plane of a volume that a slice view shows; None when the view cuts it obliquely.

    A view through a nonlinear transform is always oblique; `oblique` handles those.

    Raises:
        OutsideImage: the view lies in front of the first or behind the last plane.
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
    # Rounding errors must not decide to which slice an offset exactly between two slices belongs.
    plane = Plane("ijk"[axis], int(np.floor(middle[axis] + 0.5 - 1e-6)))
    plane.check(size)
    return plane


def _between(source: Any, target: Any, points: np.ndarray) -> np.ndarray:
    """Points (N,3) from one transform node's coordinates to another's; None is the world."""
    if source is target:
        return points
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(source, target, transform)
    given, moved = vtk.vtkPoints(), vtk.vtkPoints()
    moved.SetDataTypeToDouble()
    given.SetData(numpy_to_vtk(np.ascontiguousarray(points), deep=1, array_type=vtk.VTK_DOUBLE))
    transform.TransformPoints(given, moved)
    return vtk_to_numpy(moved.GetData()).copy()


def apply_matrix(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (N,3) transformed by an affine 4x4 matrix."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]
