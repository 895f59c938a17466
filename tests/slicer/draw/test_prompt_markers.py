"""Prompts in rendered slice views: placed, moved, deleted by the mouse, drawn where they are, kept apart."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scene_examples as examples
from PIL import Image
from slicer_harness import slicer
from UniUltraLib.draw.prompt_markers import PromptMarkers
from UniUltraLib.prompts.prompt_set import PromptBook, PromptSet
from UniUltraLib.prompts.shown import Edit
from UniUltraLib.scene import coordinates
from UniUltraLib.scene.open_volume import nodes_of
from UniUltraLib.scene.scene import SlicerScene


class Desk:
    """A volume in two views, and prompts that are kept as the panel keeps them."""

    def __init__(self, scene: Any, application: Any, slice_view: Any) -> None:
        self.image = examples.volume()
        self.image.CreateDefaultDisplayNodes()
        self.red = slice_view()
        self.red.show(self.image)
        self.interaction = application.logic.GetInteractionNode()
        self.side = SlicerScene(scene)
        self.side.open(self.image, "image")
        self.side.set_view(self.red.node)
        self.side.go_to(20)
        self.book, self.segment = PromptBook(), "a"
        self.told: list[Any] = []
        stopped = partial(self.told.append, "stopped")
        self.markers = PromptMarkers(self.side, application.logic, self._edit, self.told.append, stopped)
        self.side.on("view", self.show)

    @property
    def prompts(self) -> PromptSet:
        shown = self.side.shown()
        return self.book.get(shown.key, shown.plane, self.segment, shown.size)

    def keep(self, prompts: PromptSet) -> None:
        self.book.put("image", self.segment, prompts)
        self.show()

    def show(self) -> None:
        self.markers.show(self.prompts if self.side.shown() else None, self.side.shown())

    def _edit(self, edit: Edit) -> None:
        if edit.world is None:
            self.told.append("deleted")
            self.keep(self.prompts.without("point", edit.key))
            return
        self.told.append("moved" if edit.key in self.keys() else "placed")
        voxel = self.side.voxel(self.side.shown(), edit.world)
        self.keep(self.prompts.with_prompt("point", voxel, edit.key, edit.positive))

    def keys(self) -> list[str]:
        return [point.key for point in self.prompts.of("point")]

    def world(self, *ijk: tuple[float, float, float]) -> Any:
        return self.side.to_world(self.side.shown(), ijk)

    def points(self) -> list[tuple[Any, bool]]:
        return [(point.value, point.positive) for point in self.prompts.of("point")]

    def counts(self) -> tuple[int, int]:
        return tuple(self.markers._points[p].GetNumberOfDefinedControlPoints() for p in (True, False))

    def take(self) -> list[Any]:
        told, self.told[:] = list(self.told), []
        return told


@pytest.fixture
def desk(scene: Any, application: Any, slice_view: Any) -> Any:
    made = Desk(scene, application, slice_view)
    yield made
    made.markers.close()
    assert made.markers.observers == 0
    made.interaction.SetCurrentInteractionMode(made.interaction.ViewTransform)
    made.side.close()


def test_clicks_place_points_on_the_slice(desk: Desk) -> None:
    desk.markers.place(True)
    desk.red.click(desk.world((60, 45, 20))[0])
    desk.red.click(desk.world((30, 20, 20))[0])
    desk.markers.place(False)
    desk.red.click(desk.world((90, 70, 20))[0])
    desk.markers.stop()
    desk.red.click(desk.world((10, 10, 20))[0])
    assert desk.take() == ["placed"] * 3
    assert [(p, positive) for (*p, _), positive in desk.points()] == [
        ([60, 45], True), ([30, 20], True), ([90, 70], False),
    ]  # fmt: skip
    assert {ijk[2] for ijk, _ in desk.points()} == {20} and desk.counts() == (2, 1)
    assert len(set(desk.keys())) == 3


def test_placing_goes_on_from_slice_to_slice(desk: Desk) -> None:
    desk.markers.place(True)
    for index in (20, 21, 20):
        desk.side.go_to(index)
        desk.red.click(desk.world((40 + index, 45 + len(desk.points()), index))[0])
    desk.red.node.SetSliceOffset(500)
    desk.side.set_view(desk.red.node)
    desk.red.mouse((160, 120), "MouseMoveEvent")
    desk.red.node.JumpSliceByOffsetting(*coordinates.ijk_to_world(desk.image, [(60, 45, 22)])[0])
    desk.red.click(desk.world((50, 50, 22))[0])
    desk.markers.stop()
    assert desk.take() == ["placed"] * 4
    for index, count in ((20, 2), (21, 1), (22, 1)):
        desk.side.go_to(index)
        assert len(desk.points()) == count and desk.counts() == (count, 0)


def test_points_are_moved_and_deleted(desk: Desk) -> None:
    desk.keep(
        desk.prompts.with_prompt("point", (60, 45, 20), "a").with_prompt("point", (30, 20, 20), "b", False)
    )
    desk.red.picture()
    path = desk.world((60, 45, 20), (66, 50, 20), (75, 52, 20))
    desk.red.drag(path)
    assert desk.take() == ["moved"], "once, when it is let go"
    assert desk.points() == [((75, 52, 20), True), ((30, 20, 20), False)]
    assert desk.keys() == ["a", "b"] and desk.counts() == (1, 1)
    desk.markers._points[False].RemoveNthControlPoint(0)
    assert desk.take() == ["deleted"] and desk.keys() == ["a"]
    desk.markers._points[True].SetNthControlPointPositionWorld(0, *desk.world((10, 12, 20))[0])
    assert desk.take() == ["moved"] and desk.points() == [((10, 12, 20), True)], "as in the Markups module"


def test_a_point_off_the_image_is_taken_back(desk: Desk) -> None:
    desk.keep(desk.prompts.with_prompt("point", (5, 45, 20), "a"))
    desk.markers.place(True)
    desk.red.click(desk.world((-6, 45, 20))[0])
    desk.markers.stop()
    (text,) = desk.take()
    assert "outside the image" in text and desk.counts() == (1, 0)
    desk.red.picture()
    desk.red.drag(desk.world((5, 45, 20), (-2, 45, 20), (-8, 45, 20)))
    (text,) = desk.take()
    assert "outside the image" in text and desk.points() == [((5, 45, 20), True)]
    world = desk.markers._points[True].GetNthControlPointPositionWorld(0)
    np.testing.assert_allclose(world, desk.world((5, 45, 20))[0], atol=1e-6)


def test_each_slice_and_segment_shows_its_own(desk: Desk) -> None:
    desk.keep(desk.prompts.with_prompt("point", (60, 45, 20), "a").with_prompt("box", (30, 20, 80, 60)))
    desk.segment = "b"
    desk.show()
    assert desk.counts() == (0, 0)
    desk.keep(desk.prompts.with_prompt("point", (40, 45, 20), "c", False))
    assert desk.counts() == (0, 1)
    desk.segment = "a"
    desk.show()
    assert desk.counts() == (1, 0)
    first = desk.red.picture()
    desk.side.go_to(21)
    assert desk.counts() == (0, 0)
    desk.keep(desk.prompts.with_prompt("point", (70, 45, 21), "d"))
    desk.side.go_to(20)
    assert desk.counts() == (1, 0) and desk.prompts.of("box")[0].value == (30, 20, 80, 60)
    np.testing.assert_array_equal(desk.red.picture(), first)
    desk.red.node.SetSliceOffset(500)
    assert desk.counts() == (0, 0)
    assert desk.take() == [], "showing is not doing"


def test_a_click_in_another_view_is_of_its_slice(desk: Desk, slice_view: Any) -> None:
    green = slice_view(name="Green")
    green.show(desk.image, "Coronal")
    desk.keep(desk.prompts.with_prompt("point", (60, 45, 20), "a"))
    desk.markers.place(True)
    at = desk.world((70, 30, 12))[0]
    at[1] = green.node.GetSliceOffset()
    green.click(at)
    assert desk.side.view is green.node
    ((ijk, positive),) = desk.points()
    assert (ijk[0], ijk[2]) == (70, 12) and positive and desk.take() == ["placed"]
    assert desk.counts() == (1, 0)
    desk.side.set_view(desk.red.node)
    assert desk.points() == [((60, 45, 20), True)] and desk.counts() == (1, 0)
    desk.markers.stop()


def test_a_click_in_an_oblique_view_is_a_pixel_of_the_cut(desk: Desk) -> None:
    centre = desk.world(tuple(examples.CENTRE))[0]
    examples.askew(desk.red.node, centre)
    assert desk.side.shown().oblique
    desk.book = PromptBook()
    edits: list[Edit] = []
    shown = desk.side.shown()
    markers = PromptMarkers(desk.side, slicer.app.applicationLogic(), edits.append, print, print)
    markers.place(True)
    desk.red.click(centre)
    (edit,) = edits
    x, y, k = desk.side.voxel(shown, edit.world)
    assert k == 0 and np.abs(desk.side.to_world(shown, [(x, y, 0)])[0] - centre).max() < 0.6
    prompts = PromptSet(shown.size, shown.plane).with_prompt("point", (x, y, 0), "k")
    markers.show(prompts.with_prompt("box", (5, 5, 20, 20)), shown)
    plain = desk.red.picture()
    markers.hide()
    assert (plain != desk.red.picture()).any()
    markers.close()


def test_leaving_slicers_place_mode_is_told(desk: Desk) -> None:
    desk.markers.place(True)
    assert desk.markers.placing is True
    desk.interaction.SetCurrentInteractionMode(desk.interaction.ViewTransform)
    assert desk.take() == ["stopped"] and desk.markers.placing is None
    desk.markers.place(False)
    desk.markers.stop()
    assert desk.take() == [] and desk.interaction.GetCurrentInteractionMode() != desk.interaction.Place


def test_few_nodes_are_used_and_none_is_saved(desk: Desk, scene: Any) -> None:
    def ours() -> list[Any]:
        kinds = ("vtkMRMLMarkupsNode", "vtkMRMLModelNode")
        return [n for kind in kinds for n in nodes_of(scene, kind) if n.GetName().startswith("UniUltra")]

    mask = np.zeros((90, 120), bool)
    mask[10:20, 10:20] = True
    for index in range(12, 24):
        desk.side.go_to(index)
        prompts = desk.prompts.with_prompt("box", (1, 2, 50, 60)).with_prompt(
            "lasso", [(1, 1), (20, 1), (20, 30)]
        )
        for n in range(4):
            prompts = prompts.with_prompt("point", (10 + n, 20, index), f"p{n}", n % 2 == 0)
            prompts = prompts.with_prompt("scribble", np.roll(mask, n), f"s{n}", n % 2 == 0)
        desk.keep(prompts)
        assert len(ours()) == 5
    assert all(not n.GetSaveWithScene() and n.GetHideFromEditors() and not n.GetUndoEnabled() for n in ours())
    desk.markers.close()
    assert ours() == [] and desk.markers.observers == 0
    assert desk.take() == []


def test_closing_the_scene_leaves_nothing(desk: Desk, scene: Any, application: Any) -> None:
    desk.keep(desk.prompts.with_prompt("point", (60, 45, 20), "a"))
    desk.markers.place(True)
    scene.Clear(0)
    application.fill()
    assert desk.markers.observers == 0 and desk.markers.placing is None
    assert "deleted" not in desk.take(), "the prompts are not taken for deleted ones"
    again = examples.still()
    desk.side.open(again)
    shown = desk.side.shown()
    desk.markers.show(PromptSet(shown.size, shown.plane).with_prompt("point", (5, 6, 0), "b"), shown)
    assert desk.counts() == (1, 0)


def test_prompts_and_mask_are_seen_where_they_are(desk: Desk, tmp_path: Path) -> None:
    desk.red.picture()
    plain = desk.red.picture()
    first, second = (
        desk.side.add_segment("cyst", (1.0, 0.72, 0.1)),
        desk.side.add_segment("wall", (0.7, 0.4, 1)),
    )
    inside = examples.ball()[20]
    desk.side.write(first, desk.side.shown(), inside)
    ring = np.zeros_like(inside)
    ring[20:70, 88:100] = True
    desk.side.write(second, desk.side.shown(), ring)
    scribble, wrong = np.zeros((2, 90, 120), bool)
    scribble[44:47, 48:74] = wrong[8:12, 20:100] = True
    prompts = desk.prompts.with_prompt("point", (60, 37, 20), "a")
    prompts = prompts.with_prompt("point", (20, 78, 20), "b", False).with_prompt("box", (36, 27, 84, 63))
    prompts = prompts.with_prompt("lasso", [(34, 40), (60, 22), (88, 40), (88, 60), (60, 68), (34, 58)])
    prompts = prompts.with_prompt("scribble", scribble).with_prompt("scribble", wrong, positive=False)
    masked = desk.red.picture()
    desk.keep(prompts)
    final = desk.red.picture()

    def at(x: float, y: float) -> tuple[int, int]:
        column, row = desk.red.xy(desk.world((x, y, 20))[0])
        return final.shape[0] - 1 - round(row), round(column)

    green, red, blue = 1, 0, 2
    assert final[at(60, 37)].argmax() == green and final[at(20, 78)].argmax() == red
    shift = final.astype(int) - masked
    assert shift[at(60, 45.5)].argmax() == green and shift[at(60, 9.5)].argmax() == red
    # A box includes its corner pixels: its line runs along their outer edge.
    column, row = at(35.5, 45)[1], at(35.5, 45)[0]
    assert final[row, column - 1 : column + 2, blue].max() > 200
    desk.markers.hide()
    desk.side.write(first, desk.side.shown(), np.zeros_like(inside))
    assert (desk.red.picture() != masked)[at(60, 45)].any(), "a mask that is written again is drawn again"
    desk.side.write(first, desk.side.shown(), inside)
    np.testing.assert_array_equal(desk.red.picture(), masked)
    assert (masked != plain)[at(60, 45)].any() and (masked != plain)[at(94, 45)].any()
    target = Path(os.environ.get("UNIULTRA_PICTURES", tmp_path))
    target.mkdir(parents=True, exist_ok=True)
    Image.fromarray(final).save(target / "slicer_prompts.png", optimize=True)
