"""Cines: the frame comes from the browser, and each frame keeps a mask of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed (it comes with the `test` extra)")

from slicer_harness import volume_node  # noqa: E402
from UniUltraLib.errors import OutsideImage, SceneError  # noqa: E402
from UniUltraLib.scene import cine, coordinates, export, segments  # noqa: E402

FRAMES = 6
LPS = np.diag([-0.5, -0.5, 1.0, 1.0])


@pytest.fixture
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (FRAMES, 20, 30, 3), dtype=np.uint8)


@pytest.fixture
def browser(scene: Any, pictures: np.ndarray) -> Any:
    """A cine as Slicer's DICOM reader leaves it: indexed by seconds, not by frame number."""
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "cine")
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("s")
    for n, picture in enumerate(pictures):
        frame = volume_node(picture[None], LPS, "frame")
        sequence.SetDataNodeAtValue(frame, f"{n * 0.033:.3f}")
        scene.RemoveNode(frame)
    node = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    node.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    show(node, 0)
    return node


def show(browser: Any, frame: int) -> None:
    browser.SetSelectedItemNumber(frame)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)


def mask_of(frame: int) -> np.ndarray:
    return np.random.default_rng(frame).random((20, 30)) < 0.4


def test_the_frame_is_the_browsers_item(browser: Any, pictures: np.ndarray) -> None:
    assert cine.cine_size(browser) == (30, 20, FRAMES)
    for frame in (4, 1):
        show(browser, frame)
        assert cine.current_frame(browser) == frame
    for frame in range(FRAMES):
        np.testing.assert_array_equal(cine.frame_array(browser, frame), pictures[frame])
    with pytest.raises(OutsideImage, match="0 to 5"):
        cine.frame_array(browser, FRAMES)


@pytest.mark.parametrize("under_transform", [False, True], ids=["plain", "under a transform"])
def test_each_frame_keeps_its_own_mask(scene: Any, browser: Any, under_transform: bool) -> None:
    if under_transform:
        transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        shown = browser.GetProxyNode(browser.GetMasterSequenceNode())
        shown.SetAndObserveTransformNodeID(transform.GetID())
    masks = cine.add_masks(scene, browser, "answer")
    left, right = (cine.add_segment(browser, masks, name) for name in ("left", "right"))
    show(browser, 2)
    for frame in (2, 4, 0, 2):  # the shown one, others, and the shown one again
        cine.write_frame(browser, masks, frame, left, mask_of(frame))
    cine.write_frame(browser, masks, 2, right, mask_of(99))
    for frame in range(FRAMES):
        expected = mask_of(frame) if frame in (0, 2, 4) else np.zeros((20, 30), bool)
        np.testing.assert_array_equal(cine.read_frame(browser, masks, frame, left), expected)
        other = mask_of(99) if frame == 2 else np.zeros((20, 30), bool)
        np.testing.assert_array_equal(cine.read_frame(browser, masks, frame, right), other)
    for frame in (4, 3, 2, 0):  # and as the views show them
        show(browser, frame)
        shown = browser.GetProxyNode(browser.GetMasterSequenceNode())
        drawn = segments.read_plane(browser.GetProxyNode(masks), left, shown, cine.FRAME_PLANE)
        np.testing.assert_array_equal(drawn, mask_of(frame) if frame != 3 else np.zeros((20, 30), bool))


def test_what_is_drawn_by_hand_is_kept_with_its_frame(scene: Any, browser: Any) -> None:
    masks = cine.add_masks(scene, browser, "answer")
    segment = cine.add_segment(browser, masks, "valve")
    show(browser, 1)
    drawn = mask_of(1)
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        drawn[None].astype(np.uint8),
        browser.GetProxyNode(masks),
        segment,
        browser.GetProxyNode(browser.GetMasterSequenceNode()),
    )
    show(browser, 5)
    np.testing.assert_array_equal(cine.read_frame(browser, masks, 1, segment), drawn)
    assert not cine.read_frame(browser, masks, 5, segment).any()


def test_segments_of_one_name_stay_apart(scene: Any, browser: Any) -> None:
    masks = cine.add_masks(scene, browser, "answer")
    names = [cine.add_segment(browser, masks, "lesion") for _ in range(3)]
    assert len(set(names)) == 3
    cine.write_frame(browser, masks, 0, names[1], mask_of(0))
    assert [cine.read_frame(browser, masks, 0, name).any() for name in names] == [False, True, False]


def test_the_whole_cine_is_exported(
    scene: Any, application: Any, browser: Any, pictures: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / "cine.nrrd").write_bytes(export.cine_bytes(browser))
    node = application.load(tmp_path / "cine.nrrd")
    np.testing.assert_array_equal(coordinates.voxels(node), pictures)
    np.testing.assert_allclose(coordinates.matrix_of(node.GetIJKToRASMatrix), LPS)


def test_no_cine_is_told_in_words(scene: Any) -> None:
    for empty in (None, scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")):
        with pytest.raises(SceneError, match="choose a cine"):
            cine.current_frame(empty)
