"""The view moves, the server is another one, the image turns: what was asked stays with what it was about."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scene_examples as examples
from panel_rig import SHAPE, Rig
from scripted_model import ScriptedModel, mask_at
from scripted_server import scripted_server
from slicer_harness import volume_node, vtk_matrix
from UniUltraLib.prompts.history import LIMIT, Timeline
from UniUltraLib.prompts.planes import Plane
from UniUltraLib.prompts.prompt_set import PromptSet
from UniUltraLib.scene import us_region

equal = np.testing.assert_array_equal


def uploads(model: ScriptedModel) -> list[bytes]:
    """The bytes of every image that was sent."""
    return [one.body for one in model.server.asked if one.route == "/session/"]


def size_of(upload: bytes) -> list[int]:
    """(I,J,K) of an uploaded NRRD."""
    line = next(line for line in upload.split(b"\n") if line.startswith(b"sizes:"))
    return [int(n) for n in line.split()[1:]]


def test_what_is_sent_is_what_was_asked_about(online: Rig, model: ScriptedModel, scene: Any) -> None:
    node, view = examples.viewed(scene)
    online.open(node)
    centre = online.scene.to_world(online.scene.shown(), [examples.CENTRE])[0]
    examples.askew(view, centre)
    columns, rows, _ = online.state.shown.size
    model.shape = online.state.shown.shape
    online.point("a", columns // 2, rows // 2)
    assert online.state.needs_consent is not None
    cut = online.scene.shown()
    view.SetOrientation("Axial")
    view.JumpSliceByOffsetting(*centre)
    assert not online.scene.shown().oblique
    online.controller.consent(True)
    online.settle()
    assert [size_of(one) for one in uploads(model)] == [[columns, rows, 1]]
    assert online.scene.read(online.state.segment, cut)[rows // 2, columns // 2]
    model.shape = SHAPE
    online.click("b", 20, 30)
    assert size_of(uploads(model)[-1]) == [120, 90, 40], "the volume is not taken for the cut"


def test_an_image_that_turns_under_the_view_is_another_cut(
    online: Rig, model: ScriptedModel, scene: Any
) -> None:
    node, view = examples.viewed(scene, np.diag([0.5, 0.5, 0.5, 1.0]))
    online.open(node)
    centre = online.scene.to_world(online.scene.shown(), [(59.5, 44.5, 19.5)])[0]
    examples.askew(view, centre)
    before = online.scene.shown()
    turn = np.eye(4)
    turn[:3, :3] = [[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]]
    turn[:3, 3] = centre - turn[:3, :3] @ centre
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(vtk_matrix(turn))
    node.SetAndObserveTransformNodeID(transform.GetID())
    after = online.scene.shown()
    assert after.oblique and after.key != before.key, "else the server would answer about the earlier cut"


def test_consent_is_given_to_one_server(online: Rig, model: ScriptedModel) -> None:
    online.open(examples.still())
    online.point("a", 40, 30)
    online.controller.consent(True, blank=False)
    online.settle()
    assert len(uploads(model)) == 1
    with scripted_server() as elsewhere:
        other = ScriptedModel(elsewhere, SHAPE)
        online.connect(elsewhere.address)
        online.point("b", 60, 60)
        online.polls(0.2)
        assert online.state.needs_consent.address == elsewhere.address and not uploads(other)
        online.connect(model.server.address)
        online.settle()
        assert online.state.needs_consent is None, "the question was about the other one"
        assert not uploads(other) and not other.asked
        equal(online.mask(), mask_at(SHAPE, (40, 30), (60, 60)))


def test_the_same_server_again_needs_no_new_consent(online: Rig, model: ScriptedModel) -> None:
    online.open(examples.still())
    online.point("a", 40, 30)
    online.controller.consent(True)
    online.settle()
    online.controller.disconnect()
    online.connect(model.server.address)
    online.click("b", 60, 60)
    assert online.state.needs_consent is None and len(uploads(model)) == 2


@pytest.mark.parametrize("remembered", [False, True])
def test_what_cannot_be_blanked_is_asked_about_again(
    rig: Rig, model: ScriptedModel, remembered: bool
) -> None:
    if remembered:
        rig.controller.settings["consent"] = f"{model.server.address} blanked"
    rig.connect(model.server.address)
    page = np.zeros((1, *SHAPE), np.uint8)
    page[0, 40:44, 40:60] = 200
    rig.open(volume_node(page))
    rig.point("a", 40, 30)
    if not remembered:
        rig.controller.consent(True, blank=True)
    rig.polls(0.1)
    assert "stands out" in rig.state.problem.cause and not uploads(model)
    rig.point("b", 60, 60)
    assert rig.state.needs_consent is not None, "the person can decide anew"
    assert "look at them" in rig.state.needs_consent.warning
    rig.controller.consent(True)
    rig.settle()
    assert len(uploads(model)) == 1 and rig.mask()[60, 60]


def test_no_pixel_outside_the_region_leaks_into_a_blanked_cut(
    rig: Rig, scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = np.zeros((20, 100, 100), np.uint8)
    voxels[:, :29] = 255
    keep = np.zeros((100, 100), bool)
    keep[29:] = True
    monkeypatch.setattr(us_region, "ultrasound_region", lambda _: keep)
    node = volume_node(voxels, np.diag([0.5, 0.5, 0.5, 1.0]))
    view = examples.slice_node(scene, shows=node)
    rig.open(node)
    examples.askew(view, rig.scene.to_world(rig.scene.shown(), [(50, 50, 10)])[0])
    shown = rig.scene.shown()
    assert shown.oblique
    sent = {blanked: rig.scene.content(shown, blanked) for blanked in (False, True)}
    pixels = shown.size[0] * shown.size[1]
    assert any(sent[False][-pixels:]) and not any(sent[True][-pixels:]), "also not by interpolation"


def test_hundreds_of_prompts_without_an_answer_take_no_mask_along() -> None:
    held = np.zeros((20, 30), bool)
    held[3:9, 4:20] = True
    prompts = PromptSet((30, 20, 1), Plane("k", 0))
    line = Timeline(prompts, held)
    for n in range(LIMIT + 50):
        prompts = prompts.with_prompt("point", (n % 30, n % 20, 0), f"p{n % 7}")
        line.add(prompts)
    equal(line.newest_mask(), held)
    while line.can_undo:
        line.undo()
        equal(line.newest_mask(), held)
    assert not line.now.prompts
