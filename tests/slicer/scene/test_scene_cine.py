"""Cines: the browser's frame, a mask for each, one list of segments, which frames are done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scene_examples as examples
from slicer_harness import slicer
from UniUltraLib.errors import OutsideImage, SceneError
from UniUltraLib.prompts.planes import Plane
from UniUltraLib.scene.files import load_image, show_in_views
from UniUltraLib.scene.scene import SlicerScene

FRAMES = 6


@pytest.fixture
def browser(scene: Any) -> Any:
    return examples.cine(scene, FRAMES)


@pytest.fixture
def side(side: SlicerScene, browser: Any) -> SlicerScene:
    side.open(browser)
    return side


def mask(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((90, 120)) < 0.4


def proxy(browser: Any) -> Any:
    return browser.GetProxyNode(browser.GetMasterSequenceNode())


def test_the_frame_is_the_browsers(side: SlicerScene, browser: Any) -> None:
    heard = examples.Heard(side)
    for frame in (3, 0, 5):
        examples.browse(browser, frame)
        shown = side.shown()
        assert (shown.kind, shown.frame, shown.frames) == ("cine", frame, FRAMES)
        assert (shown.plane, shown.size) == (Plane("k", frame), (120, 90, FRAMES))
        world = side.to_world(shown, [(33, 44, frame)])[0]
        assert side.voxel(shown, world) == (33, 44, frame)
    assert heard.take() == [("frame", 3), ("frame", 0), ("frame", 5)]
    assert not side.next_frame() and side.previous_frame() and side.shown().frame == 4
    assert side.go_to(1) and not side.go_to(FRAMES) and not side.go_to(-1)
    assert side.shown().frame == 1


def test_a_cine_that_plays_is_stopped(side: SlicerScene, browser: Any) -> None:
    a = side.add_segment("a")
    heard = examples.Heard(side)
    browser.SetPlaybackActive(True)
    for frame in (1, 2, 3):
        examples.browse(browser, frame)
    side.pause()
    assert not browser.GetPlaybackActive()
    assert heard.take() == [("frame", 1), ("frame", 2), ("frame", 3)]
    examples.paint(side.segmentation, a, proxy(browser), mask(1)[None])
    assert heard.take() == [("painted", a)], "also where it was stopped"


def test_the_volume_that_shows_the_frames_opens_the_cine(side: SlicerScene, browser: Any) -> None:
    side.open(proxy(browser))
    assert side.shown().kind == "cine" and side.shown().frames == FRAMES


@pytest.mark.parametrize("moved", ["no", "before", "after"])
def test_every_frame_has_its_own_masks(scene: Any, side: SlicerScene, browser: Any, moved: str) -> None:
    if moved == "before":
        examples.move(scene, proxy(browser))
    a, b = side.add_segment("a"), side.add_segment("b")
    if moved == "after":
        examples.move(scene, proxy(browser))
    heard = examples.Heard(side)
    for frame in range(FRAMES):
        examples.browse(browser, frame)
        side.write(a, side.shown(), mask(frame))
    late = side.shown()
    examples.browse(browser, 2)
    side.write(b, late, mask(77))  # an answer that comes after the frame was left
    for frame in (0, 5, 2):
        examples.browse(browser, frame)
        np.testing.assert_array_equal(side.read(a, side.shown()), mask(frame))
        assert side.read(b, side.shown()).any() == (frame == 5)
    assert {event for event, *_ in heard.take()} == {"frame"}, "neither writes nor frames are painting"


def test_painting_on_a_frame_is_told_and_kept(side: SlicerScene, browser: Any) -> None:
    a, b = side.add_segment("a"), side.add_segment("b")
    side.write(a, side.shown(), mask(0))
    examples.browse(browser, 3)
    heard = examples.Heard(side)
    examples.paint(side.segmentation, b, proxy(browser), mask(1)[None])
    assert heard.take() == [("painted", b)]
    np.testing.assert_array_equal(side.read(b, side.shown()), mask(1))
    for frame in (4, 3, 0):
        examples.browse(browser, frame)
    assert {event for event, *_ in heard.take()} == {"frame"}
    assert not side.read(b, side.shown()).any()
    examples.browse(browser, 3)
    np.testing.assert_array_equal(side.read(b, side.shown()), mask(1))


def test_the_list_of_segments_is_one_for_all_frames(side: SlicerScene, browser: Any) -> None:
    a, b = side.add_segment("a", (1, 0, 0)), side.add_segment("b", (0, 1, 0))
    examples.browse(browser, 2)
    held = side.segmentation.GetSegmentation()
    held.GetSegment(a).SetName("ventricle")
    side.segmentation.GetSegmentation().AddEmptySegment("c", "by hand", [0, 0, 1])
    heard = examples.Heard(side)
    side.segmentation.GetSegmentation().RemoveSegment(b)
    assert heard.take() == [("segment_removed", b), ("segments",)]
    for frame in range(FRAMES):
        examples.browse(browser, frame)
        assert [(s.id, s.name) for s in side.segments()] == [(a, "ventricle"), ("c", "by hand")]
        assert side.segments()[1].colour == (0, 0, 1)
        side.write("c", side.shown(), mask(frame))
    side.remove_segment(a)
    examples.browse(browser, 0)
    assert [s.id for s in side.segments()] == ["c"]
    np.testing.assert_array_equal(side.read("c", side.shown()), mask(0))


def test_done_frames_are_remembered(scene: Any, side: SlicerScene, browser: Any) -> None:
    a = side.add_segment("a")
    side.write(a, side.shown(), mask(0))
    for frame in (4, 0, 2):
        side.set_done(frame, True)
    side.set_done(2, False)
    assert side.done_frames() == [0, 4] and side.done_frames(a) == [0]
    with pytest.raises(OutsideImage, match="0 to 5"):
        side.set_done(FRAMES, True)
    side.open(browser)
    assert side.done_frames() == [0, 4] and [s.id for s in side.segments()] == [a]


def test_segments_of_one_name_stay_apart(side: SlicerScene) -> None:
    names = [side.add_segment("lesion") for _ in range(3)]
    assert len(set(names)) == 3
    side.write(names[1], side.shown(), mask(0))
    assert [side.read(name, side.shown()).any() for name in names] == [False, True, False]


def test_a_browser_without_frames_is_refused(scene: Any) -> None:
    with pytest.raises(SceneError, match="choose a cine"):
        SlicerScene(scene).open(scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode"))


def test_prompts_are_kept_through_frames(side: SlicerScene, browser: Any) -> None:
    a, b = side.add_segment("a"), side.add_segment("b")
    side.save_prompts(a, "on a")
    examples.browse(browser, 3)
    side.save_prompts(b, "on b")
    examples.browse(browser, 0)
    assert (side.load_prompts(a), side.load_prompts(b)) == ("on a", "on b")
    side.remove_segment(a)
    assert side.load_prompts(b) == "on b"
    with pytest.raises(SceneError, match="no longer exists"):
        side.load_prompts(a)


def test_masks_that_are_removed_can_be_begun_again(scene: Any, side: SlicerScene, browser: Any) -> None:
    for gone in (lambda: side.segmentation, lambda: side.image.masks):
        a = side.add_segment("a")
        heard = examples.Heard(side)
        scene.RemoveNode(gone())
        assert heard.take() == [("segment_removed", a), ("segments",)] and side.segmentation is None
    again = side.add_segment("again")
    side.write(again, side.shown(), mask(3))
    np.testing.assert_array_equal(side.read(again, side.shown()), mask(3))


def test_files_become_cines_and_volumes(
    scene: Any, application: Any, side: SlicerScene, tmp_path: Path
) -> None:
    expected = side.image.pictures()
    (tmp_path / "cine.nrrd").write_bytes(side.content(side.shown()))
    node = load_image(scene, tmp_path / "cine.nrrd", "echo-1", "cine")
    side.open(node, "echo-1")
    shown = side.shown()
    assert (shown.kind, shown.frames, shown.key, shown.image_id) == ("cine", FRAMES, "echo-1", "echo-1")
    np.testing.assert_array_equal(side.image.pictures(), expected)
    np.testing.assert_array_equal(list(side.image.each_picture()), expected)
    np.testing.assert_allclose(side.image.ijk_to_ras(), examples.LPS)
    storage = slicer.vtkMRMLVolumeSequenceStorageNode()
    storage.SetFileName(str(tmp_path / "kept.seq.nrrd"))
    assert storage.WriteData(node.GetMasterSequenceNode())
    side.open(load_image(scene, tmp_path / "kept.seq.nrrd", "echo-2", "cine"))
    np.testing.assert_array_equal(side.image.pictures(), expected)
    volume = load_image(scene, tmp_path / "cine.nrrd", "echo-3", "volume")
    side.open(volume)
    assert side.size == (120, 90, FRAMES) and side.image_id is None
    view = examples.slice_node(scene)
    show_in_views(volume)
    assert view is not None
    before = scene.GetNumberOfNodes()
    for name in ("gone.seq.nrrd", "gone.mp4"):
        with pytest.raises(SceneError, match=r"cannot read"):
            load_image(scene, tmp_path / name, "x", "cine")
    assert scene.GetNumberOfNodes() == before
    application.errors.clear()
