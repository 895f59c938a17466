"""The panel's decisions on Slicer's scene: prompts and masks, undo and redo, segments, frames, consent."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import scene_examples as examples
from panel_rig import SHAPE, Rig
from scripted_model import MODEL, ScriptedModel, disks, mask_at
from UniUltraLib.control.state import AUTO, REFINE
from UniUltraLib.prompts.kinds import PROMPT_KINDS, BoxKind
from UniUltraLib.prompts.shown import Edit

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
    still.stroke("box", (20, 20), (60, 50))
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


def test_segments_and_slices_keep_their_own(online: Rig, model: ScriptedModel, scene: Any) -> None:
    node, view = examples.viewed(scene)
    online.open(node, "volume-1")
    online.click("a", 40, 30)
    plane = online.state.shown.plane
    other = online.controller.add_segment("wall", (1.0, 0.0, 0.0))
    assert online.state.segment == other and not online.state.has_prompts
    online.click("b", 80, 60)
    online.scene.go_to(plane.index + 3)
    assert not online.state.has_prompts and not online.state.can_undo
    online.click("c", 10, 10)
    online.scene.go_to(plane.index)
    first = next(s.id for s in online.state.segments if s.id != other)
    equal(online.mask(first), mask_at(SHAPE, (40, 30)))
    equal(online.mask(other), mask_at(SHAPE, (80, 60)))
    online.controller.undo()
    assert not online.mask(other).any() and online.mask(first).any()
    online.controller.select_segment(first)
    assert [p.key for p in online.state.prompts.of("point")] == ["a"]
    online.controller.remove_segment(other)
    assert [s.id for s in online.state.segments] == [first] and online.state.segment == first
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


def test_an_answer_lands_on_the_frame_it_was_asked_for(online: Rig, model: ScriptedModel, scene: Any) -> None:
    browser = examples.cine(scene)
    online.open(browser, "cine-1")
    model.faults["infer"] = lambda handler: (time.sleep(0.2), handler.send(200, model.answer(handler)))
    online.point("a", 40, 30)
    online.scene.go_to(2)
    assert online.state.shown.frame == 2 and not online.state.has_prompts and not online.state.waiting
    online.point("b", 70, 50)
    online.settle()
    equal(online.mask(), mask_at(SHAPE, (70, 50)))
    online.controller.accept()
    assert online.state.done and online.state.done_frames == {2}
    online.scene.go_to(0)
    equal(online.mask(), mask_at(SHAPE, (40, 30)))
    assert not online.state.done and online.state.can_undo
    online.scene.go_to(2)
    online.controller.accept(False)
    assert online.state.done_frames == frozenset()


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
    still.stroke("scribble", (20, 30), (60, 30), positive=False, width=2.0)
    [scribble] = model.asked[-1]["scribbles"]
    assert scribble["positive"] is False and scribble["bbox"][1] <= 30 <= scribble["bbox"][3]
    still.stroke("lasso", *((40 + 20 * np.cos(t), 40 + 15 * np.sin(t)) for t in np.linspace(0, 6, 40)))
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
    rig.stroke("ruler", (20, 30), (60, 50))
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
    still.stroke("box", (20, 20), (60, 50))
    still.controller.set_model("points_only")
    assert still.state.tools == {"point", AUTO}
    still.click("a", 40, 30)
    assert set(model.asked[-1]) == {"plane", "foreground", "background", "annotator", "result"}
    still.controller.set_model("no such model")
    assert still.state.model == "points_only"


def test_a_prompt_outside_changes_nothing(still: Rig, model: ScriptedModel) -> None:
    still.controller.point("a", (9999.0, 0.0, 0.0))
    assert "120 x 90" in str(still.state.problem) and "lies" in still.state.problem.cause
    assert not model.asked and not still.state.has_prompts and still.state.segments == ()
    still.controller.undo()
    assert still.state.segments == ()
    still.click("a", 40, 30)
    assert still.state.problem is None


def test_auto_segmentation_can_be_undone_and_corrected(online: Rig, model: ScriptedModel, scene: Any) -> None:
    online.open(examples.cine(scene), "cine-1")
    online.controller.auto_segment(all_frames=True)
    online.settle()
    assert [asked["plane"]["index"] for asked in model.asked] == list(range(6))
    for frame in (0, 5):
        online.scene.go_to(frame)
        assert online.mask().sum() == 20 * (10 + frame)
    before = online.mask()
    online.click("a", 100, 80)
    equal(online.mask(), before | mask_at(SHAPE, (100, 80)))
    online.controller.undo()
    online.controller.undo()
    assert not online.mask().any()


def test_an_own_image_is_sent_once_after_consent(online: Rig, model: ScriptedModel) -> None:
    online.open(examples.still())
    online.point("a", 40, 30)
    online.polls(0.3)
    assert online.state.needs_consent.address == model.server.address and "/session/" not in model.routes()
    assert not model.asked
    online.controller.consent(False)
    assert not online.state.has_prompts and online.state.needs_consent is None
    online.point("a", 40, 30)
    online.controller.consent(True, blank=True)
    online.settle()
    online.click("b", 60, 60)
    assert model.routes().count("/session/") == 1
    assert model.asked[-1]["axis_kind"] == "still"
    equal(online.mask(), mask_at(SHAPE, (40, 30), (60, 60)))
    online.open(examples.still(rgb=True))
    online.point("c", 40, 30)
    assert online.state.needs_consent is not None, "each image is asked for"
    online.controller.consent(True, always=True)
    online.settle()
    online.open(examples.still())
    online.click("d", 40, 30)
    assert model.routes().count("/session/") == 3, "the first was let go when it was closed"


def test_an_oblique_view_has_prompts_of_its_own(online: Rig, model: ScriptedModel, scene: Any) -> None:
    node, view = examples.viewed(scene)
    online.open(node, "volume-1")
    online.click("a", 40, 30)
    examples.askew(view, online.scene.to_world(online.scene.shown(), [examples.CENTRE])[0])
    shown = online.state.shown
    assert shown.oblique and not online.state.has_prompts
    model.shape = shown.shape
    columns, rows, _ = shown.size
    online.point("b", columns // 2, rows // 2)
    online.controller.consent(True)
    online.settle()
    assert online.mask()[rows // 2, columns // 2]
    online.controller.undo()
    assert not online.mask()[rows // 2, columns // 2]
