"""One slice of one segment is replaced; every other voxel of every segment stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scene_examples as examples
from slicer_harness import slicer, volume_node, vtk
from UniUltraLib.errors import OutsideImage, SceneError
from UniUltraLib.prompts.planes import Plane
from UniUltraLib.scene import segments

SIZE = (30, 20, 10)  # i, j, k
OBLIQUE = [[0.3, -0.1, 0.2, 5], [0.1, 0.4, 0, 6], [-0.05, 0, 2, 7], [0, 0, 0, 1]]


@pytest.fixture
def volume(scene: Any) -> Any:
    return volume_node(np.zeros(SIZE[::-1], np.uint8), OBLIQUE)


@pytest.fixture
def segmentation(scene: Any, volume: Any) -> Any:
    return segments.new_segmentation(scene, volume, "answer")


def add(segmentation: Any, name: str) -> str:
    return segmentation.GetSegmentation().AddEmptySegment(name, name)


def blobs(seed: int, shape: tuple[int, ...] = SIZE[::-1]) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < 0.3


def along(array: np.ndarray, plane: Plane) -> np.ndarray:
    """The (rows, columns) picture of a plane of a (K,J,I) array; a view."""
    return np.moveaxis(array, 2 - plane.normal, 0)[plane.index]


@pytest.mark.parametrize("plane", [Plane("k", 4), Plane("j", 0), Plane("i", 29), Plane("k", 9)], ids=str)
def test_writing_a_plane_replaces_it_alone(segmentation: Any, volume: Any, plane: Plane) -> None:
    segment, expected = add(segmentation, "a"), blobs(1)
    examples.paint(segmentation, segment, volume, expected)
    mask = blobs(2, plane.shape(SIZE))
    segments.write_plane(segmentation, segment, volume, plane, mask)
    along(expected, plane)[:] = mask
    np.testing.assert_array_equal(examples.whole(segmentation, segment, volume), expected)
    np.testing.assert_array_equal(segments.read_plane(segmentation, segment, volume, plane), mask)


@pytest.mark.parametrize("axis", ["i", "j", "k"])
def test_an_empty_segment_grows_plane_by_plane(segmentation: Any, volume: Any, axis: str) -> None:
    segment, expected = add(segmentation, "a"), np.zeros(SIZE[::-1], bool)
    for index in (3, 7, 5, 3):
        plane = Plane(axis, index)
        mask = blobs(index + expected.sum() % 7, plane.shape(SIZE))
        segments.write_plane(segmentation, segment, volume, plane, mask)
        along(expected, plane)[:] = mask
        np.testing.assert_array_equal(examples.whole(segmentation, segment, volume), expected)


@pytest.mark.parametrize("axis", ["i", "j", "k"])
def test_segments_overlap_and_never_change_each_other(segmentation: Any, volume: Any, axis: str) -> None:
    names = [add(segmentation, name) for name in "abc"]
    expected = {name: np.zeros(SIZE[::-1], bool) for name in names}
    for step in range(12):
        name, plane = names[step % 3], Plane(axis, step // 2)
        mask = blobs(step, plane.shape(SIZE))
        segments.write_plane(segmentation, name, volume, plane, mask)
        along(expected[name], plane)[:] = mask
        for other in names:
            np.testing.assert_array_equal(examples.whole(segmentation, other, volume), expected[other])
            held = segments.read_plane(segmentation, other, volume, plane)
            np.testing.assert_array_equal(held, along(expected[other], plane))


def test_segments_that_share_a_layer_stay_apart(segmentation: Any, volume: Any) -> None:
    left, right = add(segmentation, "left"), add(segmentation, "right")
    half = np.zeros((20, 30), bool)
    half[:, :15] = True
    for index in (2, 3):
        segments.write_plane(segmentation, left, volume, Plane("k", index), half)
        segments.write_plane(segmentation, right, volume, Plane("k", index), ~half)
    segmentation.GetSegmentation().CollapseBinaryLabelmaps(False)
    assert segmentation.GetSegmentation().GetNumberOfLayers() == 1
    segments.write_plane(segmentation, left, volume, Plane("k", 3), np.zeros((20, 30), bool))
    assert examples.whole(segmentation, left, volume).sum(axis=(1, 2))[2:4].tolist() == [300, 0]
    assert examples.whole(segmentation, right, volume).sum(axis=(1, 2))[2:4].tolist() == [300, 300]


def test_a_block_is_replaced_only_where_asked(segmentation: Any, volume: Any) -> None:
    other, segment, expected = add(segmentation, "b"), add(segmentation, "a"), blobs(1)
    examples.paint(segmentation, segment, volume, expected)
    rest = ~expected
    examples.paint(segmentation, other, volume, rest)
    extent, box = (5, 20, 2, 9, 1, 6), (slice(1, 7), slice(2, 10), slice(5, 21))
    mask, where = blobs(2, (6, 8, 16)), blobs(3, (6, 8, 16))
    segments.write_block(segmentation, segment, volume, extent, mask, where)
    expected[box] = np.where(where, mask, expected[box])
    np.testing.assert_array_equal(examples.whole(segmentation, segment, volume), expected)
    np.testing.assert_array_equal(examples.whole(segmentation, other, volume), rest)
    np.testing.assert_array_equal(segments.read_block(segmentation, segment, volume, extent), expected[box])


def test_a_surface_follows_the_mask(segmentation: Any, volume: Any) -> None:
    segment = add(segmentation, "a")
    small, large = np.zeros((2, 20, 30), bool)
    small[8:12, 8:12] = large[3:17, 3:27] = True
    segments.write_plane(segmentation, segment, volume, Plane("k", 5), small)
    segmentation.CreateClosedSurfaceRepresentation()

    def width() -> float:
        surface = vtk.vtkPolyData()
        segmentation.GetClosedSurfaceRepresentation(segment, surface)
        return surface.GetLength()

    before = width()
    segments.write_plane(segmentation, segment, volume, Plane("k", 5), large)
    assert width() > 2 * before
    np.testing.assert_array_equal(segments.read_plane(segmentation, segment, volume, Plane("k", 5)), large)


def test_rewriting_is_seen_by_those_who_watch(segmentation: Any, volume: Any) -> None:
    segment, events = add(segmentation, "a"), []
    segments.write_plane(segmentation, segment, volume, Plane("k", 5), blobs(1, (20, 30)))
    segmentation.AddObserver(slicer.vtkSegmentation.SourceRepresentationModified, lambda *_: events.append(1))
    segments.write_plane(segmentation, segment, volume, Plane("k", 5), blobs(2, (20, 30)))
    assert len(events) == 1
    for index in (0, 9):  # where the labelmap has to grow
        plane, mask = Plane("k", index), blobs(index, (20, 30))
        segments.write_plane(segmentation, segment, volume, plane, mask)
        np.testing.assert_array_equal(segments.read_plane(segmentation, segment, volume, plane), mask)
    np.testing.assert_array_equal(examples.whole(segmentation, segment, volume)[5], blobs(2, (20, 30)))


def test_under_a_transform_voxels_stay_voxels(scene: Any, volume: Any) -> None:
    examples.move(scene, volume)
    segmentation = segments.new_segmentation(scene, volume, "answer")
    segment, mask = add(segmentation, "a"), blobs(5, (20, 30))
    segments.write_plane(segmentation, segment, volume, Plane("k", 6), mask)
    np.testing.assert_array_equal(segments.read_plane(segmentation, segment, volume, Plane("k", 6)), mask)
    segmentation.SetAndObserveTransformNodeID(None)
    with pytest.raises(SceneError, match="same one"):
        segments.write_plane(segmentation, segment, volume, Plane("k", 6), mask)


def test_a_segment_on_other_voxels_is_refused_unchanged(scene: Any, volume: Any) -> None:
    coarse = volume_node(np.zeros((5, 10, 15), np.uint8), np.diag([2.0, 2.0, 2.0, 1.0]))
    segmentation = segments.new_segmentation(scene, coarse, "painted")
    segment = add(segmentation, "a")
    segments.write_plane(segmentation, segment, coarse, Plane("k", 2), np.ones((10, 15), bool))
    with pytest.raises(SceneError, match="source geometry"):
        segments.write_plane(segmentation, segment, volume, Plane("k", 2), np.ones((20, 30), bool))
    assert examples.whole(segmentation, segment, coarse).sum() == 150


def test_a_segment_cropped_to_its_effective_extent_still_fits(segmentation: Any, volume: Any) -> None:
    segment = add(segmentation, "a")
    small = slicer.vtkOrientedImageData()
    segments.write_block(segmentation, segment, volume, (8, 12, 3, 6, 2, 4), np.ones((3, 4, 5), bool))
    # Files and "import" give a segment an origin of its own, whole voxels away from the image's.
    held = segmentation.GetSegmentation().GetSegment(segment).GetRepresentation("Binary labelmap")
    small.DeepCopy(held)
    extent = held.GetExtent()
    shifted = (np.array(OBLIQUE) @ [extent[0], extent[2], extent[4], 1])[:3]
    small.SetExtent(0, extent[1] - extent[0], 0, extent[3] - extent[2], 0, extent[5] - extent[4])
    small.SetOrigin(*shifted)
    held.DeepCopy(small)
    plane = Plane("k", 3)
    expected = np.zeros((20, 30), bool)
    expected[3:7, 8:13] = True
    np.testing.assert_array_equal(segments.read_plane(segmentation, segment, volume, plane), expected)
    segments.write_plane(segmentation, segment, volume, plane, ~expected)
    result = examples.whole(segmentation, segment, volume)
    np.testing.assert_array_equal(result[3], ~expected)
    np.testing.assert_array_equal(result[2], expected)


def test_what_cannot_be_written_says_why(segmentation: Any, volume: Any) -> None:
    segment = add(segmentation, "a")
    with pytest.raises(OutsideImage, match="30 x 20 x 10"):
        segments.write_plane(segmentation, segment, volume, Plane("k", 10), np.ones((20, 30), bool))
    with pytest.raises(SceneError, match="rows, columns"):
        segments.write_plane(segmentation, segment, volume, Plane("k", 1), np.ones((30, 20), bool))
    for gone in ((segmentation, "none"), (None, segment)):
        with pytest.raises(SceneError, match="no longer exists"):
            segments.write_plane(*gone, volume, Plane("k", 1), np.ones((20, 30), bool))
