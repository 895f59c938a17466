"""Masks and segments: what is written stays apart, what is painted is noticed, nothing else is told."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import scene_examples as examples
from slicer_harness import slicer, volume_node
from UniUltraLib.errors import SceneError
from UniUltraLib.scene.scene import SlicerScene
from UniUltraLib.scene.segments import write_block


@pytest.fixture
def side(side: SlicerScene, node: Any, view: Any) -> SlicerScene:
    side.open(node)
    side.go_to(20)
    return side


def mask(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < 0.4


def test_no_segmentation_is_made_before_the_first_segment(scene: Any, side: SlicerScene) -> None:
    assert side.segmentation is None and side.segments() == []
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    first, second = side.add_segment("lesion", (1, 0, 0)), side.add_segment("lesion")
    assert first != second and [s.name for s in side.segments()] == ["lesion", "lesion"]
    assert side.segments()[0].colour == (1, 0, 0)
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1


@pytest.mark.parametrize("oblique", [False, True])
def test_segments_overlap_and_keep_their_own(scene: Any, side: SlicerScene, view: Any, oblique: bool) -> None:
    examples.move(scene, side.volume)
    a, b = side.add_segment("a"), side.add_segment("b")
    if oblique:
        examples.askew(view, side.to_world(side.shown(), [examples.CENTRE])[0])
    else:
        side.go_to(20)
    shown = side.shown()
    assert shown.oblique is oblique
    left, top = np.zeros(shown.shape, bool), np.zeros(shown.shape, bool)
    left[20:60, 20:50] = top[20:40, 20:80] = True
    side.write(a, shown, left)
    before = side.read(a, shown)
    side.write(b, shown, top)
    np.testing.assert_array_equal(side.read(a, shown), before)
    for segment, expected in ((a, left), (b, top)):
        got = side.read(segment, shown)
        assert 2 * (got & expected).sum() / (got.sum() + expected.sum()) > (0.93 if oblique else 0.9999)
    side.write(a, shown, np.zeros(shown.shape, bool))
    assert not side.read(a, shown).any() and side.read(b, shown).any()


def test_a_mask_painted_with_slicers_tools_is_told_once(scene: Any, side: SlicerScene, node: Any) -> None:
    a, b = side.add_segment("a"), side.add_segment("b")
    heard = examples.Heard(side)
    for step in range(3):
        side.write(a, side.shown(), mask((90, 120), step))
        side.write(b, side.shown(), mask((90, 120), step + 9))
    side.go_to(21)
    side.write(a, side.shown(), mask((90, 120), 5))
    assert heard.take() == [("view",)], "our own writes are not painted"
    painted = examples.whole(side.segmentation, a, node)
    painted[21, 3:9, 3:9] = ~painted[21, 3:9, 3:9]
    examples.paint(side.segmentation, a, node, painted)
    assert heard.take() == [("painted", a)]
    elsewhere = examples.whole(side.segmentation, a, node)
    elsewhere[3] = True
    examples.paint(side.segmentation, a, node, elsewhere)
    assert heard.take() == [], "what is looked at did not change"
    side.segmentation.GetSegmentation().CollapseBinaryLabelmaps(False)
    side.segmentation.GetSegmentation().CreateRepresentation("Closed surface")
    side.segmentation.Modified()
    assert heard.take() == []
    side.go_to(20)
    side.go_to(21)
    assert {event for event, *_ in heard.take()} == {"view"}, "what was seen before is no painting"


def test_a_crossing_view_does_not_mistake_our_writes(scene: Any, side: SlicerScene, view: Any) -> None:
    a = side.add_segment("a")
    side.write(a, side.shown(), mask((90, 120)))
    heard = examples.Heard(side)
    for turn in ("Coronal", "Axial", "Sagittal", "Axial"):
        view.SetOrientation(turn)
        view.JumpSliceByOffsetting(*side.to_world(side.shown(), [(60, 45, 20)])[0])
        side.write(a, side.shown(), mask(side.shown().shape, len(turn)))
    examples.askew(view, side.to_world(side.shown(), [(60, 45, 20)])[0])
    side.write(a, side.shown(), mask(side.shown().shape))
    view.SetOrientation("Axial")
    assert {event for event, *_ in heard.take()} == {"view"}


def test_slicers_undo_gives_back_what_was_painted(scene: Any, node: Any, view: Any) -> None:
    logic = slicer.vtkSlicerSegmentEditorLogic()
    logic.SetMRMLScene(scene)
    editor = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    logic.SetSegmentEditorNode(editor)
    side = SlicerScene(scene, save_undo=logic.SaveStateForUndo)
    side.open(node)
    side.go_to(20)
    a = side.add_segment("a")
    logic.SetSegmentationNode(side.segmentation)
    logic.SetSourceVolumeNode(node)
    shown, first, last = side.shown(), mask((90, 120)), mask((90, 120), 1)
    heard = examples.Heard(side)
    side.write(a, shown, first)
    logic.SaveStateForUndo()
    painted = examples.whole(side.segmentation, a, node)
    painted[20, :30] = True
    examples.paint(side.segmentation, a, node, painted)
    assert heard.take() == [("painted", a)]
    for _ in range(3):  # three answers of the server are one step of Slicer's
        side.write(a, shown, last)
    logic.Undo()
    np.testing.assert_array_equal(side.read(a, shown), painted[20])
    logic.Undo()
    np.testing.assert_array_equal(side.read(a, shown), first)
    assert {tuple(event) for event in heard.take()} == {("painted", a)}
    logic.Redo()
    logic.Redo()
    np.testing.assert_array_equal(side.read(a, shown), last)
    side.close()


def test_prompts_are_kept_for_each_segment(side: SlicerScene) -> None:
    a, b = side.add_segment("a"), side.add_segment("b")
    heard = examples.Heard(side)
    side.save_prompts(a, '[{"image":"x"}]')
    assert (side.load_prompts(a), side.load_prompts(b)) == ('[{"image":"x"}]', None)
    side.save_prompts(a, None)
    assert side.load_prompts(a) is None
    assert heard.take() == []
    with pytest.raises(SceneError, match="no longer exists"):
        side.load_prompts("gone")


def test_segments_changed_by_others_are_told(scene: Any, side: SlicerScene) -> None:
    a, b = side.add_segment("a"), side.add_segment("b")
    heard = examples.Heard(side)
    held = side.segmentation.GetSegmentation()
    held.GetSegment(a).SetName("other")
    held.GetSegment(a).SetColor(0, 0, 1)
    assert heard.take() == [("segments",), ("segments",)]
    held.AddEmptySegment("c", "c")
    assert heard.take()[-1] == ("segments",) and len(side.segments()) == 3
    held.RemoveSegment(a)
    assert heard.take() == [("segment_removed", a), ("segments",)]
    side.remove_segment(b)
    assert heard.take() == [("segment_removed", b), ("segments",)]
    with pytest.raises(SceneError, match="no longer exists"):
        side.read(a, side.shown())
    scene.RemoveNode(side.segmentation)
    assert heard.take() == [("segment_removed", "c"), ("segments",)]
    assert side.segmentation is None and side.segments() == []
    again = side.add_segment("again")
    side.write(again, side.shown(), mask((90, 120)))
    assert side.read(again, side.shown()).any()


def test_a_mask_of_another_shape_is_refused(side: SlicerScene) -> None:
    a = side.add_segment("a")
    with pytest.raises(SceneError, match="rows, columns"):
        side.write(a, side.shown(), np.ones((120, 90), bool))
    assert not side.read(a, side.shown()).any()


def test_a_segmentation_drawn_before_is_taken_up(scene: Any, node: Any, view: Any) -> None:
    drawn = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "by hand")
    drawn.CreateDefaultDisplayNodes()
    drawn.SetReferenceImageGeometryParameterFromVolumeNode(node)
    segment = drawn.GetSegmentation().AddEmptySegment("hand")
    array = mask((40, 90, 120))
    examples.paint(drawn, segment, node, array)
    side = SlicerScene(scene)
    side.open(node)
    side.go_to(7)
    np.testing.assert_array_equal(side.read(segment, side.shown()), array[7])
    side.write(segment, side.shown(), ~array[7])
    array[7] = ~array[7]
    np.testing.assert_array_equal(examples.whole(drawn, segment, node), array)
    side.close()


def test_one_slice_costs_no_more_in_a_volume_of_many(scene: Any) -> None:
    def cost(slices: int) -> float:
        node = volume_node(np.zeros((slices, 128, 128), np.uint8))
        view = examples.slice_node(scene, f"View{slices}", shows=node)
        side = SlicerScene(scene)
        side.open(node, f"image-{slices}")
        side.set_view(view)
        segment = side.add_segment("a")
        shown = side.shown()
        block = np.zeros((slices, 128, 128), bool)
        block[:, 20:100, 20:100] = True
        write_block(side.segmentation, segment, node, [0, 127, 0, 127, 0, slices - 1], block)
        times = []
        for n in range(25):
            given = mask((128, 128), n % 3)
            start = time.perf_counter()
            side.write(segment, shown, given)
            times.append(time.perf_counter() - start)
        side.close()
        return min(times)

    # 32 times the voxels: a write that touched them all would cost about that much more.
    assert cost(256) < 5 * cost(8)
