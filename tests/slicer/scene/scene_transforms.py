"""Parent transforms for images, linear and not."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk
from slicer_harness import slicer, vtk_matrix
from vtk.util.numpy_support import vtk_to_numpy


def linear(scene: Any, matrix: Any, parent: Any = None) -> Any:
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(vtk_matrix(matrix))
    node.SetAndObserveTransformNodeID(parent.GetID() if parent else None)
    return node


def bspline(scene: Any) -> Any:
    """Random displacements of about 2 mm."""
    coefficients, values = vectors(8, 23)
    values[:] = np.random.default_rng(3).normal(0, 2, values.shape)
    transform = slicer.vtkOrientedBSplineTransform()
    transform.SetCoefficientData(coefficients)
    node = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    node.SetAndObserveTransformFromParent(transform)
    return node


def grid(scene: Any, to_parent: bool = True) -> Any:
    """A smooth displacement of some millimetres, different at every place."""
    image, values = vectors(9, 20)
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, 9)] * 3, indexing="ij")
    field = np.stack([3 * np.sin(2 * y), 2 * np.cos(x + z), 2.5 * np.sin(x * y)], -1)
    values[:] = field.reshape(-1, 3)
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(image)
    node = scene.AddNewNodeByClass("vtkMRMLGridTransformNode")
    if to_parent:
        node.SetAndObserveTransformToParent(transform)
    else:
        node.SetAndObserveTransformFromParent(transform)
    return node


def vectors(count: int, spacing: float) -> tuple[Any, np.ndarray]:
    """`count`^3 vectors from -80 mm on, as image data and as their (N,3) array."""
    image = vtk.vtkImageData()
    image.SetDimensions(count, count, count)
    image.SetOrigin(-80, -80, -80)
    image.SetSpacing(spacing, spacing, spacing)
    image.AllocateScalars(vtk.VTK_DOUBLE, 3)
    return image, vtk_to_numpy(image.GetPointData().GetScalars())
