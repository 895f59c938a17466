"""The panel's decisions on Slicer's scene: prompts and masks, undo and redo, segments, frames, consent."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed (it comes with the `test` extra)")

import scene_examples as examples  # noqa: E402
from panel_rig import SHAPE, Rig  # noqa: E402
from scripted_model import MODEL, ScriptedModel, disks, mask_at  # noqa: E402
from UniUltraLib.control.state import AUTO, REFINE  # noqa: E402
from UniUltraLib.prompts.kinds import PROMPT_KINDS, BoxKind  # noqa: E402
from UniUltraLib.prompts.shown import Edit  # noqa: E402

equal = np.testing.assert_array_equal


def test_a_click_makes_a_segment_and_its_mask(still: Rig, model: ScriptedModel) -> None:
    assert still.state.tools == {*PROMPT_KINDS, REFINE, AUTO}
    assert still.state.strategies == ("coreset", "random") and still.state.model == MODEL
    still.click("a", 40, 30)
    [segment] = still.state.segments
    assert segment.name == "heart" and segment.colour == pytest.approx((0, 1, 0))
    equal(still.mask(), mask_at(SHAPE, (40, 30)))
    assert (still.state.score, still.state.adapter, still.state.answered_by) == (0.9, "a1", MODEL)
    assert still.state.can_undo and not still.state.can_redo and still.state.clicks == 1
    [asked] = model.asked
    assert asked["annotator"] == "Dr. A" and "mask" not in asked and "axis_kind" not in asked
    assert asked["foreground"] == [[40, 30, 0]]


def test_each_click_builds_on_the_mask_that_is_there(still: Rig, model: ScriptedModel) -> None:
    still.controller.edit(
        Edit("box", True, still.scene.to_world(still.scene.shown(), [(20, 20, 0), (60, 50, 0)]))
    )
    still.settle()
    first = still.mask()
    still.click("a", 90, 40)
    still.click("b", 30, 30, positive=False)
    assert model.asked[1]["roi"] == [20, 60, 20, 50, 0, 0], "the box goes along with its corrections"
    equal(disks(SHAPE, {"mask": model.asked[1]["mask"]}), first)
    equal(still.mask(), disks(SHAPE, {**model.asked[2]}))
    assert still.mask()[40, 90] and not still.mask()[30, 30]


def test_undo_and_redo_take_prompts_and_mask_together(still: Rig, model: ScriptedModel) -> None:
    masks = [np.zeros(SHAPE, bool)]
    for n, x in enumerate((20, 50, 80)):
        still.click(f"p{n}", x, 40)
        masks.append(still.mask())
    for left in (2, 1, 0):
        still.controller.undo()
        equal(still.mask(), masks[left])
        assert len(still.state.prompts.of("point")) == left
    assert not still.state.can_undo and len(model.asked) == 3, "what is known is not asked again"
    still.controller.redo()
    still.controller.redo()
    equal(still.mask(), masks[2])
    still.click("q", 100, 70)
    assert not still.state.can_redo


def test_the_mask_follows_a_point_that_is_moved_or_deleted(still: Rig, model: ScriptedModel) -> None:
    still.click("a", 20, 30)
    still.click("b", 60, 30)
    still.click("a", 20, 60)
    equal(still.mask(), mask_at(SHAPE, (20, 60), (60, 30)))
    still.controller.delete_point("b")
    still.settle()
    equal(still.mask(), mask_at(SHAPE, (20, 60)))
    asked = len(model.asked)
    still.controller.delete_point("a")
    assert not still.mask().any() and not still.state.has_prompts
    assert len(model.asked) == asked, "the mask before is known"
    still.controller.undo()
    equal(still.mask(), mask_at(SHAPE, (20, 60)))
    still.controller.delete_point("nobody")
    assert len(model.asked) == asked


def test_what_is_painted_is_refined_and_comes_back_by_undo(still: Rig, model: ScriptedModel) -> None:
    still.click("a", 20, 30)
    still.click("b", 60, 30)
    still.paint(slice(28, 33), slice(58, 63), False)
    still.paint(slice(70, 80), slice(90, 110))
    painted = still.mask()
    assert still.state.can_undo
    still.controller.refine()
    still.settle()
    equal(disks(SHAPE, {"mask": model.asked[-1]["mask"]}), painted)
    assert [p.key for p in still.state.prompts.of("point")] == ["a"], (
        "a click that the painting contradicts goes"
    )
    still.click("c", 100, 20)
    assert still.mask()[75, 100] and still.mask()[20, 100]
    still.controller.delete_point("c")
    still.settle()
    assert still.mask()[75, 100] and not still.mask()[20, 100], "what was painted stays"
    for _ in range(3):  # the deletion, the click, the refined mask
        still.controller.undo()
    equal(still.mask(), painted)
    still.controller.undo()
    assert not still.mask()[75, 100] and not still.mask()[30, 60], "two strokes of the brush"
    still.controller.undo()
    equal(still.mask(), mask_at(SHAPE, (20, 30), (60, 30)))
    assert [p.key for p in still.state.prompts.of("point")] == ["a", "b"]


def test_painting_while_an_answer_is_awaited_is_not_lost(still: Rig, model: ScriptedModel) -> None:
    still.click("a", 20, 30)
    model.faults["infer"] = lambda handler: (time.sleep(0.3), handler.send(200, model.answer(handler)))
    still.point("b", 60, 30)
    still.paint(slice(70, 80), slice(90, 110))
    painted = still.mask()
    still.settle()
    assert still.mask()[30, 60]
    still.controller.undo()
    equal(still.mask(), painted)


def test_clear_can_be_undone(still: Rig) -> None:
    still.click("a", 20, 30)
    still.controller.clear()
    assert not still.mask().any() and not still.state.has_prompts
    still.controller.undo()
    equal(still.mask(), mask_at(SHAPE, (20, 30)))
    assert still.state.has_prompts


def test_segments_and_slices_keep_their_own(rig: Rig, model: ScriptedModel, scene: Any) -> None:
    rig.connect(model.server.address)
    node = examples.volume()
    view = examples.slice_node(scene, shows=node)
    rig.open(node, "volume-1")
    rig.click("a", 40, 30)
    plane = rig.state.shown.plane
    other = rig.controller.add_segment("wall", (1.0, 0.0, 0.0))
    assert rig.state.segment == other and not rig.state.has_prompts
    rig.click("b", 80, 60)
    rig.scene.go_to(plane.index + 3)
    assert not rig.state.has_prompts and not rig.state.can_undo
    rig.click("c", 10, 10)
    rig.scene.go_to(plane.index)
    first = next(s.id for s in rig.state.segments if s.id != other)
    equal(rig.mask(first), mask_at(SHAPE, (40, 30)))
    equal(rig.mask(other), mask_at(SHAPE, (80, 60)))
    rig.controller.undo()
    assert not rig.mask(other).any() and rig.mask(first).any()
    rig.controller.select_segment(first)
    assert [p.key for p in rig.state.prompts.of("point")] == ["a"]
    rig.controller.remove_segment(other)
    assert [s.id for s in rig.state.segments] == [first] and rig.state.segment == first
    assert view.GetLayoutName() == "Red"


def test_prompts_are_back_when_the_image_is_opened_again(still: Rig, model: ScriptedModel) -> None:
    still.click("a", 40, 30)
    node = still.scene.volume
    still.scene.close()
    assert still.state.shown is None and still.state.tools == set()
    still.open(node)
    assert [p.key for p in still.state.prompts.of("point")] == ["a"]
    still.click("b", 80, 30)
    equal(still.mask(), mask_at(SHAPE, (40, 30), (80, 30)))
    still.controller.undo()
    equal(still.mask(), mask_at(SHAPE, (40, 30)))
    still.controller.delete_point("a")
    equal(still.mask(), mask_at(SHAPE, (40, 30)))  # nobody knows what was before it
    assert not still.state.has_prompts


def test_an_answer_lands_on_the_frame_it_was_asked_for(rig: Rig, model: ScriptedModel, scene: Any) -> None:
    rig.connect(model.server.address)
    browser = examples.cine(scene)
    rig.open(browser, "cine-1")
    model.faults["infer"] = lambda handler: (time.sleep(0.2), handler.send(200, model.answer(handler)))
    rig.point("a", 40, 30)
    rig.scene.go_to(2)
    assert rig.state.shown.frame == 2 and not rig.state.has_prompts and not rig.state.waiting
    rig.point("b", 70, 50)
    rig.settle()
    equal(rig.mask(), mask_at(SHAPE, (70, 50)))
    rig.controller.accept()
    assert rig.state.done and rig.state.done_frames == {2}
    rig.scene.go_to(0)
    equal(rig.mask(), mask_at(SHAPE, (40, 30)))
    assert not rig.state.done and rig.state.can_undo
    rig.scene.go_to(2)
    rig.controller.accept(False)
    assert rig.state.done_frames == frozenset()


def test_of_quick_clicks_the_latest_is_answered(still: Rig, model: ScriptedModel) -> None:
    model.faults["infer"] = lambda handler: (time.sleep(0.15), handler.send(200, model.answer(handler)))
    for n in range(6):
        still.point(f"p{n}", 10 + 15 * n, 40)
        still.until(lambda: model.asked)
    assert still.state.waiting
    still.settle()
    assert len(model.asked) == 2, "the first was under way; of the others only the last was asked"
    equal(still.mask(), mask_at(SHAPE, *((10 + 15 * n, 40) for n in range(6))))
    model.faults.clear()
    still.controller.undo()  # its answer was dropped, so it is asked again
    still.settle()
    equal(still.mask(), mask_at(SHAPE, *((10 + 15 * n, 40) for n in range(5))))


def test_scribbles_and_lasso_travel(still: Rig, model: ScriptedModel) -> None:
    shown = still.scene.shown()
    line = still.scene.to_world(shown, [(20, 30, 0), (60, 30, 0)])
    still.controller.edit(Edit("scribble", False, line, 2.0))
    still.settle()
    [scribble] = model.asked[-1]["scribbles"]
    assert scribble["positive"] is False and scribble["bbox"][1] <= 30 <= scribble["bbox"][3]
    ring = [(40 + 20 * np.cos(t), 40 + 15 * np.sin(t), 0) for t in np.linspace(0, 6, 40)]
    still.controller.edit(Edit("lasso", True, still.scene.to_world(shown, ring)))
    still.settle()
    assert len(model.asked[-1]["lasso"]) > 10 and model.asked[-1]["scribbles"]
    still.controller.edit(Edit("scribble", key="scribble0"))
    still.settle()
    assert "scribbles" not in model.asked[-1] and model.asked[-1]["lasso"]


class RulerKind(BoxKind):
    """A kind of prompt that the extension does not have: the two ends of a line."""

    stored = "ruler"

    def to_params(self, prompts: Any, picture: Any) -> dict[str, Any]:
        return {"ruler": list(prompts[0].value)} if prompts else {}


def test_a_new_kind_of_prompt_needs_its_line_in_the_table_alone(
    rig: Rig, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PROMPT_KINDS, "ruler", RulerKind())
    model.info["models"][MODEL]["prompts"].append("ruler")
    rig.connect(model.server.address)
    rig.open(examples.still(), "still-1")
    assert "ruler" in rig.state.tools
    world = rig.scene.to_world(rig.scene.shown(), [(20, 30, 0), (60, 50, 0)])
    rig.controller.edit(Edit("ruler", True, world))
    rig.settle()
    assert model.asked[-1]["ruler"] == [20, 30, 60, 50]
    node, kept = rig.scene.volume, rig.state.prompts
    rig.scene.close()
    rig.open(node)
    assert rig.state.prompts == kept and kept.of("ruler")
    rig.controller.set_model("points_only")
    rig.click("a", 40, 30)
    assert "ruler" not in model.asked[-1]
    rig.controller.undo()
    assert rig.state.prompts == kept


def test_a_model_is_asked_only_what_it_takes(still: Rig, model: ScriptedModel) -> None:
    still.controller.edit(
        Edit("box", True, still.scene.to_world(still.scene.shown(), [(20, 20, 0), (60, 50, 0)]))
    )
    still.settle()
    still.controller.set_model("points_only")
    assert still.state.tools == {"point", AUTO}
    still.click("a", 40, 30)
    assert set(model.asked[-1]) == {"plane", "foreground", "background", "annotator", "result"}
    still.controller.set_model("no such model")
    assert still.state.model == "points_only"


def test_a_prompt_outside_changes_nothing(still: Rig, model: ScriptedModel) -> None:
    still.controller.point("a", (9999.0, 0.0, 0.0))
    assert "120 x 90" in str(still.state.problem) and not model.asked and not still.state.has_prompts
    still.click("a", 40, 30)
    assert still.state.problem is None


def test_auto_segmentation_can_be_undone_and_corrected(rig: Rig, model: ScriptedModel, scene: Any) -> None:
    rig.connect(model.server.address)
    rig.open(examples.cine(scene), "cine-1")
    rig.controller.auto_segment(all_frames=True)
    rig.settle()
    assert [asked["plane"]["index"] for asked in model.asked] == list(range(6))
    for frame in (0, 5):
        rig.scene.go_to(frame)
        assert rig.mask().sum() == 20 * (10 + frame)
    before = rig.mask()
    rig.click("a", 100, 80)
    equal(rig.mask(), before | mask_at(SHAPE, (100, 80)))
    rig.controller.undo()
    rig.controller.undo()
    assert not rig.mask().any()


def test_an_own_image_is_sent_once_after_consent(rig: Rig, model: ScriptedModel) -> None:
    rig.connect(model.server.address)
    rig.open(examples.still())
    rig.point("a", 40, 30)
    rig.polls(0.3)
    assert rig.state.needs_consent.address == model.server.address and "/session/" not in model.routes()
    assert not model.asked
    rig.controller.consent(False)
    assert not rig.state.has_prompts and rig.state.needs_consent is None
    rig.point("a", 40, 30)
    rig.controller.consent(True, blank=True)
    rig.settle()
    rig.click("b", 60, 60)
    assert model.routes().count("/session/") == 1
    assert model.asked[-1]["axis_kind"] == "still"
    equal(rig.mask(), mask_at(SHAPE, (40, 30), (60, 60)))
    rig.open(examples.still(rgb=True))
    rig.point("c", 40, 30)
    assert rig.state.needs_consent is not None, "each image is asked for"
    rig.controller.consent(True, always=True)
    rig.settle()
    rig.open(examples.still())
    rig.click("d", 40, 30)
    assert model.routes().count("/session/") == 3, "the first was let go when it was closed"


def test_an_oblique_view_has_prompts_of_its_own(rig: Rig, model: ScriptedModel, scene: Any) -> None:
    rig.connect(model.server.address)
    node = examples.volume()
    view = examples.slice_node(scene, shows=node)
    rig.open(node, "volume-1")
    rig.click("a", 40, 30)
    examples.askew(view, rig.scene.to_world(rig.scene.shown(), [examples.CENTRE])[0])
    shown = rig.state.shown
    assert shown.oblique and not rig.state.has_prompts
    model.shape = shown.shape
    columns, rows, _ = shown.size
    rig.point("b", columns // 2, rows // 2)
    rig.controller.consent(True)
    rig.settle()
    assert rig.mask()[rows // 2, columns // 2]
    rig.controller.undo()
    assert not rig.mask()[rows // 2, columns // 2]
