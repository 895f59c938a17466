"""Oblique views: the picture shows what the view cuts, and its mask lands on those voxels only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scene_transforms import bspline, linear
from slicer_harness import volume_node
from UniUltraLib.errors import OutsideImage
from UniUltraLib.scene import coordinates, oblique, segments

SIZE = (40, 36, 30)
GEOMETRY = np.array([[-0.5, 0, 0, 10], [0, -0.5, 0, 9], [0, 0, 0.8, -12], [0, 0, 0, 1]])
CENTRE, RADIUS = np.array([21.0, 17.0, 14.0]), 6.0


def ball() -> np.ndarray:
    k, j, i = np.indices(SIZE[::-1])
    return np.hypot(np.hypot(i - CENTRE[0], j - CENTRE[1]), k - CENTRE[2]) <= RADIUS


def ramp() -> np.ndarray:
    k, j, i = np.indices(SIZE[::-1]).astype(float)
    return i + 100 * j + 10000 * k


def view(scene: Any, world: np.ndarray, normal: tuple[float, ...] = (0.2, -0.5, 0.8)) -> Any:
    node = scene.AddNewNodeByClass("vtkMRMLSliceNode", "View")
    right = np.cross((0, 1, 0), normal)
    node.SetSliceToRASByNTP(*normal, *(right / np.linalg.norm(right)), *world, 0)
    return node


TURN = [[0, -1, 0, 5], [1, 0, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1]]
PARENTS = {"plain": lambda _: None, "linear": lambda scene: linear(scene, TURN), "nonlinear": bspline}


@pytest.fixture(params=PARENTS.values(), ids=PARENTS)
def parent(scene: Any, request: Any) -> Any:
    """The ID of the transform that the volume is under."""
    node = request.param(scene)
    return node.GetID() if node is not None else None


def test_every_pixel_shows_the_voxels_under_it(scene: Any, parent: Any) -> None:
    volume = volume_node(ramp(), GEOMETRY)
    volume.SetAndObserveTransformNodeID(parent)
    still = oblique.reslice_view(view(scene, coordinates.ijk_to_world(volume, [CENTRE])[0]), volume)
    inner = ((still.ijk >= 0) & (still.ijk <= np.array(SIZE) - 1)).all(axis=-1)
    assert inner.sum() > 800
    np.testing.assert_allclose(still.picture[inner], still.ijk[inner] @ [1, 100, 10000], rtol=1e-9)
    assert not still.picture[~still.inside].any()
    for row, column in ((0, 0), (10, 30), still.inside.shape):
        row, column = min(row, still.inside.shape[0] - 1), min(column, still.inside.shape[1] - 1)
        world = coordinates.ijk_to_world(volume, [still.ijk[row, column]])[0]
        np.testing.assert_allclose((still.from_world @ [*world, 1])[:3], [column, row, 0], atol=2e-2)


def test_the_mask_lands_on_the_voxels_that_the_view_cuts(scene: Any, parent: Any) -> None:
    volume = volume_node(ball().astype(np.uint8) * 200, GEOMETRY)
    volume.SetAndObserveTransformNodeID(parent)
    segmentation = segments.new_segmentation(scene, volume, "answer")
    segment = segmentation.GetSegmentation().AddEmptySegment("a")
    still = oblique.reslice_view(view(scene, coordinates.ijk_to_world(volume, [CENTRE])[0]), volume)
    everything = (0, SIZE[0] - 1, 0, SIZE[1] - 1, 0, SIZE[2] - 1)

    oblique.write_view(segmentation, segment, volume, still, still.picture > 100)
    held = segments.read_block(segmentation, segment, volume, everything)
    assert held.sum() > 80
    # nearly all of it is in the ball, and what it cuts of the ball is in it
    assert (held & ball()).sum() / held.sum() > 0.9
    again = oblique.read_view(segmentation, segment, volume, still)
    truth = still.picture > 100
    assert 2 * (again & truth).sum() / (again.sum() + truth.sum()) > 0.95

    oblique.write_view(segmentation, segment, volume, still, np.ones_like(truth))
    cut = segments.read_block(segmentation, segment, volume, everything)
    assert oblique.read_view(segmentation, segment, volume, still)[still.inside].all(), "no holes"
    assert (held <= cut).all() and cut.sum() < 0.2 * cut.size

    # voxels that this view does not cut, and other segments, stay
    other = segmentation.GetSegmentation().AddEmptySegment("b")
    for name in (segment, other):
        segments.write_block(segmentation, name, volume, everything, np.ones_like(cut))
    oblique.write_view(segmentation, segment, volume, still, np.zeros_like(truth))
    np.testing.assert_array_equal(segments.read_block(segmentation, segment, volume, everything), ~cut)
    assert segments.read_block(segmentation, other, volume, everything).all()


def test_a_straight_view_agrees_with_its_plane(scene: Any) -> None:
    volume = volume_node(ramp(), GEOMETRY)
    k = 11
    still = oblique.reslice_view(view(scene, (0, 0, -12 + 0.8 * k), (0, 0, 1)), volume)
    np.testing.assert_allclose(still.ijk[..., 2], k)
    segmentation = segments.new_segmentation(scene, volume, "answer")
    segment = segmentation.GetSegmentation().AddEmptySegment("a")
    oblique.write_view(segmentation, segment, volume, still, still.picture > 111800)
    expected = coordinates.voxels(volume)[k] > 111800
    plane = coordinates.shown_plane(view(scene, (0, 0, -12 + 0.8 * k), (0, 0, 1)), volume)
    held = segments.read_plane(segmentation, segment, volume, plane)
    assert (held != expected).mean() < 0.03


def test_a_point_in_the_view_becomes_a_pixel_of_the_picture(scene: Any) -> None:
    volume = volume_node(ball().astype(np.uint8), GEOMETRY)
    centre = coordinates.ijk_to_world(volume, [CENTRE])[0]
    still = oblique.reslice_view(view(scene, centre), volume)
    x, y = still.xy_of(centre)
    np.testing.assert_allclose(still.ijk[round(y), round(x)], CENTRE, atol=1)
    with pytest.raises(OutsideImage, match="Place it on the image"):
        still.xy_of(centre + 100)


def test_colour_stays_and_a_missing_view_is_refused(scene: Any) -> None:
    colour = np.zeros((*SIZE[::-1], 3), np.uint8)
    colour[..., 1] = 77
    volume = volume_node(colour, GEOMETRY)
    still = oblique.reslice_view(view(scene, coordinates.ijk_to_world(volume, [CENTRE])[0]), volume)
    assert still.picture.dtype == np.uint8
    assert (still.picture[still.inside] == [0, 77, 0]).all()
    with pytest.raises(OutsideImage, match="40 x 36 x 30"):
        oblique.reslice_view(view(scene, np.array([500.0, 0, 0])), volume)


def test_a_large_volume_gives_a_picture_of_bounded_size(scene: Any) -> None:
    volume = volume_node(np.zeros((4, 1500, 1400), np.uint8), np.diag([-0.1, -0.1, 2.0, 1.0]))
    world = coordinates.ijk_to_world(volume, [(700, 750, 1.5)])[0]
    still = oblique.reslice_view(view(scene, world, (0.0, 0.004, 1.0)), volume)
    assert max(still.picture.shape) <= oblique.MAX_SIDE
    assert still.inside.mean() > 0.9
