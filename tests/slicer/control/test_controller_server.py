"""The panel's decisions against the real server with the real model, which also dies meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scene_examples as examples
from panel_rig import Rig
from server_process import ServerProcess
from UniUltraLib.control.state import AUTO, LOST, ONLINE, REFINE
from UniUltraLib.prompts.nrrd import nrrd_bytes
from UniUltraLib.prompts.shown import Edit
from UniUltraLib.wire.client import Client

MODEL = "uniultra_mini"
TRUTH = examples.ball()[20]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, application: Any) -> Iterator[ServerProcess]:
    """The server over a studies folder with the volume, and with a cine of six frames."""
    studies = tmp_path_factory.mktemp("studies")
    frames = np.stack([examples.speckle(TRUTH, n) for n in range(6)])
    (studies / "echo.seq.nrrd").write_bytes(
        nrrd_bytes(frames, examples.LPS).replace(b"domain domain domain", b"domain domain list")
    )
    voxels = examples.speckle(examples.ball())
    (studies / "volume.nrrd").write_bytes(nrrd_bytes(voxels, examples.LPS))
    server = ServerProcess(studies, tmp_path_factory.mktemp("home"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def rig(rig: Rig, running: ServerProcess) -> Rig:
    rig.connect(running.address)
    return rig


def timeline(rig: Rig) -> Any:
    return rig.controller._editing.timeline(rig.scene.shown(), rig.state.segment)


def overlap(mask: np.ndarray, truth: np.ndarray = TRUTH) -> float:
    return 2 * (mask & truth).sum() / (mask.sum() + truth.sum())


def test_a_reader_goes_through_a_cine(rig: Rig, scene: Any, running: ServerProcess) -> None:
    rig.open(examples.cine(scene, rgb=False))
    assert REFINE in rig.state.tools and AUTO not in rig.state.tools and rig.state.model == MODEL
    shown = rig.scene.shown()
    corners = rig.scene.to_world(shown, [shown.plane.to_ijk(x, y) for x, y in ((38, 29), (82, 61))])
    rig.controller.edit(Edit("box", True, corners))
    assert rig.state.needs_consent is not None and "name" in rig.state.needs_consent.warning
    rig.controller.consent(True)
    rig.settle()
    first = rig.mask()
    assert overlap(first) > 0.8
    rig.click("a", 60, 30)
    rig.click("b", 5, 5, positive=False)
    assert rig.mask()[30, 60] and not rig.mask()[5, 5] and overlap(rig.mask()) > 0.8
    assert rig.state.score is not None and rig.state.answered_by == MODEL
    rig.controller.accept()

    rig.polls(0.5)  # the server has encoded the next frame by now
    rig.scene.next_frame()
    rig.click("c", 60, 45)
    assert timeline(rig).now.answer.timings["cached"] == 1
    assert overlap(rig.mask(), TRUTH) > 0.5
    rig.controller.undo()
    assert not rig.mask().any() and rig.state.done_frames == {0}
    rig.scene.previous_frame()
    assert len(rig.state.prompts.of("point")) == 2 and rig.state.prompts.of("box")
    for _ in range(2):
        rig.controller.undo()
    np.testing.assert_array_equal(rig.mask(), first)


def test_the_panels_answers_are_the_servers(rig: Rig, scene: Any, running: ServerProcess) -> None:
    node, view = examples.viewed(scene)
    rig.open(node, "volume")
    view.SetOrientation("Coronal")
    rig.scene.go_to(45)
    rig.click("a", 60, 20)
    first = rig.mask()
    rig.click("b", 75, 20)
    prompts = rig.state.prompts.with_previous(first)
    client = Client(running.address)
    asked = client.infer(MODEL, prompts.to_params(), prompts.shape, image_id="volume")
    client.close()
    np.testing.assert_array_equal(rig.mask(), asked.mask)


def test_what_is_painted_is_refined(rig: Rig, scene: Any) -> None:
    node, _ = examples.viewed(scene)
    rig.open(node, "volume")
    rig.scene.go_to(20)
    rig.controller.add_segment("cyst")
    rig.paint(slice(31, 59), slice(40, 78))
    before = overlap(rig.mask())
    rig.controller.refine()
    rig.settle()
    assert rig.state.problem is None and overlap(rig.mask()) > before > 0.8


def test_the_server_is_killed_and_started_again(rig: Rig, scene: Any, running: ServerProcess) -> None:
    rig.open(examples.cine(scene, rgb=False))
    rig.point("a", 60, 45)
    rig.controller.consent(True)
    rig.settle()
    before = rig.mask()
    assert before.any()
    running.kill()
    rig.point("b", 75, 45)
    rig.until(lambda: rig.state.connection == LOST)
    assert rig.state.problem.address == running.address
    np.testing.assert_array_equal(rig.mask(), before)
    rig.paint(slice(80, 85), slice(5, 15))
    rig.scene.go_to(3)
    rig.point("c", 60, 45)
    running.start(wait=False)
    rig.until(lambda: rig.state.connection == ONLINE, seconds=120)
    rig.settle()
    assert rig.state.problem is None and rig.mask().any(), "what was said meanwhile is asked"
    rig.scene.go_to(0)
    assert rig.mask()[45, 75] and len(rig.state.prompts.of("point")) == 2
    rig.controller.undo()
    assert rig.mask()[82, 10], "what was painted meanwhile is a step back"
    assert rig.scene.image.frame == 0
