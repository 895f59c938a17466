"""What the person looks at: still, frame, slice of a volume in any view, oblique cut, under transforms."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import scene_examples as examples
from UniUltraLib.control.scene_protocol import SceneSide
from UniUltraLib.errors import OutsideImage, PromptsError, SceneError
from UniUltraLib.prompts.kinds import PROMPT_KINDS
from UniUltraLib.prompts.planes import Plane
from UniUltraLib.scene.coordinates import ijk_to_world
from UniUltraLib.scene.scene import SlicerScene

VIEWS = {"k": "Axial", "j": "Coronal", "i": "Sagittal"}


def test_it_has_all_that_the_decisions_ask_of_it(side: SlicerScene) -> None:
    methods = {name for name in vars(SceneSide) if not name.startswith("_")}
    assert methods
    for name in methods:
        expected = list(inspect.signature(getattr(SceneSide, name)).parameters)[1:]
        assert list(inspect.signature(getattr(side, name)).parameters)[: len(expected)] == expected, name


@pytest.mark.parametrize("rgb", [False, True], ids=["grey", "colour"])
@pytest.mark.parametrize("moved", [False, True], ids=["in place", "under a transform"])
def test_a_still_is_itself_in_every_view(scene: Any, side: SlicerScene, rgb: bool, moved: bool) -> None:
    node = examples.still(rgb)
    view = examples.slice_node(scene, shows=node)
    if moved:
        examples.move(scene, node)
    side.open(node)
    for turn in ("Axial", "Sagittal"):
        view.SetOrientation(turn)
        shown = side.shown()
        assert (shown.kind, shown.plane, shown.size) == ("still", Plane("k", 0), (120, 90, 1))
        assert not shown.oblique and shown.frame is None and shown.frames == 1
        assert side.voxel(shown, side.to_world(shown, [(7, 8, 0)])[0]) == (7, 8, 0)


@pytest.mark.parametrize("axis", VIEWS)
@pytest.mark.parametrize("moved", [False, True], ids=["in place", "under a transform"])
def test_each_view_of_a_volume_shows_its_slice(scene: Any, side: SlicerScene, axis: str, moved: bool) -> None:
    node = examples.volume()
    if moved:
        examples.move(scene, node)
    views = {name: examples.slice_node(scene, name, name, shows=node) for name in VIEWS.values()}
    side.open(node)
    # The turned volume shows its rows where an unmoved one shows its columns.
    name = {"i": "Coronal", "j": "Sagittal"}.get(axis, "Axial") if moved else VIEWS[axis]
    side.set_view(views[name])
    for index in (0, 1, side.size[Plane(axis, 0).normal] - 1):
        ijk = [5.0, 6.0, 7.0]
        ijk[Plane(axis, 0).normal] = index
        world = ijk_to_world(node, [ijk])[0]
        views[name].JumpSliceByOffsetting(*world)
        shown = side.shown()
        assert (shown.kind, shown.plane) == ("volume", Plane(axis, index)), "slice 0 is a slice too"
        assert side.voxel(shown, world) == tuple(ijk)
        assert shown.shape == shown.plane.shape((120, 90, 40))


def test_a_click_within_the_slices_thickness_is_on_the_slice(side: SlicerScene, node: Any, view: Any) -> None:
    side.open(node)
    for drift in (-0.49, 0.0, 0.49):
        world = ijk_to_world(node, [(10, 11, 5 + drift)])[0]
        view.JumpSliceByOffsetting(*world)
        shown = side.shown()
        assert shown.plane == Plane("k", 5)
        assert side.voxel(shown, world) == (10, 11, 5)


def test_beside_the_image_nothing_is_shown(side: SlicerScene, node: Any, view: Any) -> None:
    assert side.shown() is None and not side.is_open
    side.open(node)
    view.SetSliceOffset(500)
    assert side.shown() is None and side.clamp((0, 0, 0)) is None and not side.on_image((0, 0, 0))
    side.close()
    with pytest.raises(SceneError, match="choose an image"):
        side.add_segment("a")
    with pytest.raises(SceneError, match="choose an image"):
        side.open(None)


def test_an_oblique_view_is_a_still_of_its_own(scene: Any, side: SlicerScene) -> None:
    node = examples.volume(examples.SHEARED)
    view = examples.slice_node(scene, shows=node)
    examples.move(scene, node)
    side.open(node, "image-7")
    centre = ijk_to_world(node, [examples.CENTRE])[0]
    examples.askew(view, centre)
    shown = side.shown()
    assert shown.oblique and shown.kind == "still" and shown.plane == Plane("k", 0) and shown.size[2] == 1
    assert shown.image_id is None and shown.key.startswith("image-7/")
    x, y, k = side.voxel(shown, centre)
    assert k == 0 and np.abs(side.to_world(shown, [(x, y, 0)])[0] - centre).max() < 0.5
    again = side.to_world(shown, side.to_ijk(shown, [centre]))
    np.testing.assert_allclose(again[0], centre, atol=2e-3)
    # Panning and zooming change nothing, turning and scrolling do.
    view.SetXYZOrigin(13.7, -4.1, 0)
    view.SetFieldOfView(77, 55, 1)
    right = np.array([view.GetSliceToRAS().GetElement(n, 0) for n in range(3)])
    view.SetSliceToRASByNTP(0.2, -0.5, 0.84, 0.97, 0, -0.24, *(centre + 3.7 * right), 0)
    assert side.shown() == shown
    view.SetSliceOffset(view.GetSliceOffset() + 1)
    assert side.shown().key != shown.key
    with pytest.raises(OutsideImage):
        side.voxel(side.shown(), centre + 400)


def test_the_view_follows_the_place_that_was_clicked(scene: Any, side: SlicerScene, node: Any) -> None:
    red = examples.slice_node(scene, "Red", "Axial", shows=node)
    green = examples.slice_node(scene, "Green", "Coronal", shows=node)
    heard = examples.Heard(side)
    side.open(node)
    assert side.view is red
    at = {view: ijk_to_world(node, [(10, 20 if view is green else 60, 5 if view is red else 30)])[0]
          for view in (red, green)}  # fmt: skip
    for view in (red, green):
        view.JumpSliceByOffsetting(*at[view])
    heard.take()
    side.view_at(at[green])
    assert side.view is green and side.shown().plane == Plane("j", 20) and heard.take() == [("view",)]
    side.view_at(at[green] + 0.0)
    assert heard.take() == []
    side.set_view(red.GetID())
    assert side.shown().plane == Plane("k", 5) and heard.take() == [("view",)]


def test_only_another_slice_is_told(scene: Any, side: SlicerScene, node: Any, view: Any) -> None:
    heard = examples.Heard(side)
    side.open(node)
    view.SetFieldOfView(50, 40, 1)
    view.SetXYZOrigin(5, 5, 0)
    assert heard.take() == []
    assert side.go_to(9) and side.shown().plane == Plane("k", 9) and heard.take() == [("view",)]
    assert side.next_frame() and side.shown().plane == Plane("k", 10)
    assert side.previous_frame() and side.shown().plane == Plane("k", 9)
    assert not side.go_to(40) and not side.go_to(-1)
    heard.take()
    examples.move(scene, node)
    assert heard.take() == [("view",)], "its place in the world changed"


@pytest.mark.parametrize("oblique", [False, True])
def test_strokes_become_prompts_of_the_picture(scene: Any, side: SlicerScene, oblique: bool) -> None:
    node = examples.volume()
    view = examples.slice_node(scene, "Green", "Coronal", shows=node)
    side.open(node)
    if oblique:
        examples.askew(view, ijk_to_world(node, [examples.CENTRE])[0])
    else:
        side.go_to(45)
    shown = side.shown()
    corners = np.array([(50, 12), (70, 12), (70, 28), (50, 28)], float)
    world = side.to_world(shown, [shown.plane.to_ijk(*xy) for xy in corners])

    def read(kind: str, world: Any, width: float = 0.0) -> Any:
        return PROMPT_KINDS[kind].read(side.stroke_path(shown, world, width))

    np.testing.assert_allclose(read("box", world[[0, 2]]), (50, 12, 70, 28), atol=1e-6)
    np.testing.assert_allclose(read("lasso", world), corners, atol=1e-6)
    # A round pen of 4 mm is oblong in oblong voxels: 0.4 mm wide and 0.8 mm high in a coronal slice.
    mark = read("scribble", world[:1], 4.0)
    rows, columns = np.nonzero(mark)
    pitch = np.linalg.norm(np.diff(side.to_world(shown, [(50, 45, 12), (51, 45, 12)]), axis=0))
    assert np.ptp(columns) == 2 * int(2.0 / pitch + 1e-6)
    if not oblique:
        assert np.ptp(columns) == 10 and np.ptp(rows) == 4
    far = world + 900
    for kind in ("box", "scribble"):
        with pytest.raises(OutsideImage):
            read(kind, far, 4.0)
    with pytest.raises(PromptsError, match="encloses nothing"):
        read("lasso", world[:2])
