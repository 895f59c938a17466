"""Places in the scene, voxels of the image: every orientation, every kind of parent transform."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scene_transforms import bspline, grid, linear
from slicer_harness import slicer, volume_node, vtk
from UniUltraLib.errors import OutsideImage, SceneError
from UniUltraLib.prompts.planes import Plane, nearest_voxel
from UniUltraLib.scene import coordinates

SIZE = (30, 20, 10)  # i, j, k


def rotation(axis: tuple[float, float, float], degrees: float) -> np.ndarray:
    transform = vtk.vtkTransform()
    transform.RotateWXYZ(degrees, *axis)
    return coordinates.array_of(transform.GetMatrix())


def placed(matrix: np.ndarray, spacing: tuple[float, ...], origin: tuple[float, ...]) -> np.ndarray:
    result = matrix @ np.diag([*spacing, 1.0])
    result[:3, 3] = origin
    return result


GEOMETRIES = {
    "identity": np.eye(4),
    "LPS": np.diag([-1.0, -1.0, 1.0, 1.0]),
    "anisotropic": placed(np.diag([-1.0, -1.0, 1.0, 1.0]), (0.3, 0.2, 4.0), (12.0, -40.0, 7.0)),
    "oblique": placed(rotation((1, 2, 3), 37), (0.5, 0.7, 2.0), (-20.0, 5.0, 60.0)),
    "left-handed": placed(rotation((3, 1, 0), -71) @ np.diag([1.0, 1.0, -1.0, 1.0]), (1, 1, 3), (1, 2, 3)),
    "axes swapped": placed(np.eye(4)[[2, 0, 1, 3]], (0.5, 0.5, 1.5), (4, 5, 6)),
}
VOXELS = [(0, 0, 0), (29, 19, 9), (7, 3, 5), (0, 19, 4)]


def voxels_under(markups: Any, volume: Any) -> list[tuple[int, int, int]]:
    """The voxels at the control points of a node."""
    count = markups.GetNumberOfControlPoints()
    world = [markups.GetNthControlPointPositionWorld(n) for n in range(count)]
    return [nearest_voxel(ijk, SIZE) for ijk in coordinates.world_to_ijk(volume, world)]


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_a_control_point_on_a_voxel_gives_that_voxel(scene: Any, geometry: np.ndarray) -> None:
    volume = volume_node(np.zeros(SIZE[::-1], np.uint8), geometry)
    markups = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    for voxel in VOXELS:
        markups.AddControlPoint((geometry @ [*voxel, 1.0])[:3])
    assert voxels_under(markups, volume) == VOXELS


def parent_of_kind(scene: Any, kind: str) -> Any:
    turn = placed(rotation((0, 1, 1), 25), (1.1, 0.9, 1.0), (10, -3, 4))
    if kind == "linear":
        return linear(scene, turn)
    if kind == "nested":
        return linear(scene, turn, linear(scene, placed(rotation((1, 0, 0), 90), (1, 1, 1), (0, 0, 50))))
    if kind == "grid to parent":
        return grid(scene)
    if kind == "grid from parent":
        return grid(scene, to_parent=False)
    node = bspline(scene)
    if kind == "bspline under linear":
        node.SetAndObserveTransformNodeID(linear(scene, turn).GetID())
    return node


KINDS = ["linear", "nested", "grid to parent", "grid from parent", "bspline", "bspline under linear"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("geometry", ["anisotropic", "oblique"])
def test_parent_transforms_count(scene: Any, kind: str, geometry: str) -> None:
    volume = volume_node(np.zeros(SIZE[::-1], np.uint8), GEOMETRIES[geometry])
    parent = parent_of_kind(scene, kind)
    # Slicer's own way to world, through the volume's own transform: harden a control point with it.
    reference = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    for voxel in VOXELS:
        reference.AddControlPoint((GEOMETRIES[geometry] @ [*voxel, 1.0])[:3])
    plain = coordinates.ijk_to_world(volume, VOXELS)
    for node in (volume, reference):
        node.SetAndObserveTransformNodeID(parent.GetID())
    world = np.array([reference.GetNthControlPointPositionWorld(n) for n in range(len(VOXELS))])
    assert np.abs(world - plain).max() > 0.5, "the transform must move something"
    np.testing.assert_allclose(coordinates.ijk_to_world(volume, VOXELS), world, atol=1e-3)
    np.testing.assert_allclose(coordinates.world_to_ijk(volume, world), VOXELS, atol=2e-2)
    assert voxels_under(reference, volume) == VOXELS


def test_the_world_position_counts_not_the_markups_own_frame(scene: Any) -> None:
    volume = volume_node(np.zeros(SIZE[::-1], np.uint8))
    markups = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    moved = np.eye(4)
    moved[:3, 3] = (5, 6, 2)
    markups.SetAndObserveTransformNodeID(linear(scene, moved).GetID())
    markups.AddControlPoint([1, 1, 1])
    assert voxels_under(markups, volume) == [(6, 7, 3)]


@pytest.mark.parametrize("world", [(-0.6, 0, 0), (29.6, 0, 0), (3, 25, 3), (3, 3, -2), (1e9, 0, 0)])
def test_a_point_outside_the_image_is_refused_with_its_size(scene: Any, world: tuple[float, ...]) -> None:
    volume = volume_node(np.zeros(SIZE[::-1], np.uint8))
    with pytest.raises(OutsideImage, match="30 x 20 x 10 voxels"):
        nearest_voxel(coordinates.world_to_ijk(volume, [world])[0], SIZE)
    assert nearest_voxel((29.4, -0.4, 9.4), SIZE) == (29, 0, 9)


def test_no_volume_is_told_in_words(scene: Any) -> None:
    for empty in (None, scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")):
        with pytest.raises(SceneError, match="Load or choose an image"):
            coordinates.image_size(empty)


def test_voxels_share_memory_and_keep_colour(scene: Any) -> None:
    grey = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    node = volume_node(grey)
    np.testing.assert_array_equal(coordinates.voxels(node), grey)
    coordinates.voxels(node)[0, 0, 0] = 99
    assert slicer.util.arrayFromVolume(node)[0, 0, 0] == 99
    colour = np.arange(72, dtype=np.uint8).reshape(2, 3, 4, 3)
    np.testing.assert_array_equal(coordinates.voxels(volume_node(colour)), colour)


def view_on(scene: Any, volume: Any, axis: str, index: float, tilt: float = 0.0) -> Any:
    """A slice node that shows plane `index` of `axis`, turned by `tilt` degrees about its x direction."""
    normal = Plane(axis, 0)
    size = coordinates.image_size(volume)
    middle = [(n - 1) / 2 for n in size]
    middle[normal.normal] = index
    ends = [list(middle) for _ in range(3)]
    ends[1][normal.in_plane[0]] += 1
    ends[2][normal.in_plane[1]] += 1
    origin, right, up = coordinates.ijk_to_world(volume, ends)
    x = (right - origin) / np.linalg.norm(right - origin)
    z = np.cross(x, up - origin)
    z /= np.linalg.norm(z)
    angle = np.radians(tilt)
    y = np.cross(z, x) * np.cos(angle) + z * np.sin(angle)
    node = scene.AddNewNodeByClass("vtkMRMLSliceNode", "View")
    z = np.cross(x, y)
    node.SetSliceToRASByNTP(*z, *x, *origin, 0)
    return node


@pytest.mark.parametrize("axis", ["i", "j", "k"])
@pytest.mark.parametrize("geometry", ["identity", "LPS", "anisotropic", "left-handed", "oblique"])
def test_the_shown_plane_is_found(scene: Any, axis: str, geometry: str) -> None:
    volume = volume_node(np.zeros(SIZE[::-1], np.uint8), GEOMETRIES[geometry])
    turn = placed(rotation((0, 1, 1), 25), (1, 1, 1), (10, -3, 4))
    volume.SetAndObserveTransformNodeID(linear(scene, turn).GetID())
    for index in (0, 4.3, 8.6):
        view = view_on(scene, volume, axis, index)
        assert coordinates.shown_plane(view, volume) == Plane(axis, round(index))
    with pytest.raises(OutsideImage, match="Scroll"):
        coordinates.shown_plane(view_on(scene, volume, axis, -1), volume)


def test_an_oblique_or_warped_view_shows_no_plane(scene: Any) -> None:
    volume = volume_node(np.zeros(SIZE[::-1], np.uint8), GEOMETRIES["anisotropic"])
    assert coordinates.shown_plane(view_on(scene, volume, "k", 5, tilt=25), volume) is None
    straight = view_on(scene, volume, "k", 5)
    volume.SetAndObserveTransformNodeID(bspline(scene).GetID())
    assert coordinates.shown_plane(straight, volume) is None
