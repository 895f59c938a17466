"""When things go wrong, nothing said or painted is lost, and the person knows what to do."""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import Any

import numpy as np
import pytest
import scene_examples as examples
from panel_rig import SHAPE, Rig
from scripted_model import MODEL, ScriptedModel, info, mask_at
from scripted_server import Handler, scripted_server
from UniUltraLib.control.state import LOST, OFFLINE, ONLINE
from UniUltraLib.control.worker import JobCancelled
from UniUltraLib.errors import ServerFailed

equal = np.testing.assert_array_equal
KEY = "key-4711"


@pytest.fixture
def timeout() -> tuple[float, float]:
    return (1.0, 1.0)


def slow(model: ScriptedModel, seconds: float) -> Any:
    return lambda handler: (time.sleep(seconds), handler.send(200, model.answer(handler)))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            {"models": {MODEL: {"type": "deepgrow"}}, "strategies": {}},
            ["MONAI Label server", "uniultra serve"],
        ),
        (info(uniultra={"wire": 99}), ["version 99", "Update this module"]),
        (info(uniultra={"wire": 0}), ["version 0", "Update the server"]),
        ({"hello": "world"}, ["models", "same version"]),
        (b"<html>", ["not JSON"]),
    ],
    ids=["stock", "newer", "older", "other", "page"],
)
def test_what_is_no_server_of_ours_is_told(
    rig: Rig, model: ScriptedModel, answer: Any, words: list[str]
) -> None:
    model.faults["info"] = lambda handler: handler.send(200, answer)
    rig.controller.connect(model.server.address)
    rig.until(lambda: rig.state.problem)
    assert rig.state.connection == OFFLINE and rig.state.models == ()
    assert all(word in str(rig.state.problem) for word in words), str(rig.state.problem)
    told: list[Any] = []
    rig.controller.test_connection(model.server.address, done=told.append)
    rig.until(lambda: told)
    assert told == [rig.state.problem]
    model.faults.clear()
    rig.controller.test_connection(model.server.address)
    rig.until(lambda: rig.state.notice)
    assert rig.state.problem is None and rig.state.connection == OFFLINE
    rig.controller.connect("ftp://x")
    assert rig.state.problem and rig.state.connection == OFFLINE


def test_a_key_is_asked_for_and_kept_nowhere(
    rig: Rig, model: ScriptedModel, scene: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def guarded(handler: Handler) -> None:
        if handler.headers.get("Authorization") != f"Bearer {KEY}":
            handler.send(401, {"detail": "No key"})
        else:
            handler.send(200, model.info)

    model.faults["info"] = guarded
    caplog.set_level(logging.DEBUG)
    rig.controller.connect(model.server.address)
    rig.until(lambda: rig.state.problem)
    assert rig.state.connection == OFFLINE and "access key" in rig.state.problem.next_step
    rig.connect(model.server.address, KEY)
    rig.open(examples.still(), "still-1")
    rig.click("a", 40, 30)
    texts = [str(rig.state), str(rig.controller.settings), caplog.text, scene_text(scene)]
    assert rig.state.problem is None and not any(KEY in text for text in texts)


def scene_text(scene: Any) -> str:
    scene.SetSaveToXMLString(1)
    try:
        scene.Commit()
        return scene.GetSceneXMLString()
    finally:
        scene.SetSaveToXMLString(0)  # else no test after this one could save a file


@pytest.mark.parametrize(
    ("status", "detail", "words"),
    [
        (401, "No key", ["access key"]),
        (404, "Expected a known image; see /datastore/.", ["known image"]),
        (413, "The mask is too large.", ["too large"]),
        (422, "Expected a point on the image.", ["Correct what it names"]),
        (500, "Internal Server Error", ["log"]),
        (503, "CUDA out of memory. Serve a smaller model.", ["out of memory", "smaller model"]),
    ],
)
def test_a_refused_prompt_stays_and_can_be_tried_again(
    still: Rig, model: ScriptedModel, status: int, detail: str, words: list[str]
) -> None:
    still.click("a", 20, 30)
    model.faults["infer"] = lambda handler: handler.send(status, {"detail": detail})
    still.point("b", 60, 30)
    still.until(lambda: still.state.problem)
    assert all(word in str(still.state.problem) for word in words)
    assert still.state.problem.address == model.server.address
    assert still.state.connection == ONLINE and still.state.waiting and not still.state.busy
    assert len(still.state.prompts.of("point")) == 2
    equal(still.mask(), mask_at(SHAPE, (20, 30)))
    model.faults.clear()
    still.controller.retry()
    still.settle()
    equal(still.mask(), mask_at(SHAPE, (20, 30), (60, 30)))
    assert still.state.problem is None


def cut_off(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"bbox": [1')
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


def test_a_broken_answer_is_asked_again(still: Rig, model: ScriptedModel) -> None:
    def once(handler: Handler) -> None:
        model.faults.clear()
        cut_off(handler)

    model.faults["infer"] = once
    still.point("a", 20, 30)
    still.settle()
    equal(still.mask(), mask_at(SHAPE, (20, 30)))
    assert LOST in [state.connection for state in still.seen] and still.state.connection == ONLINE
    assert still.state.problem is None and len(model.asked) == 2


def test_a_prompt_that_never_gets_an_answer_is_given_up(still: Rig, model: ScriptedModel) -> None:
    model.faults["infer"] = cut_off
    still.point("a", 20, 30)
    still.until(lambda: still.state.problem and "3 tries" in still.state.problem.cause)
    asked = len(model.asked)
    still.polls(0.8)
    assert len(model.asked) == asked == 3 and still.state.connection == ONLINE
    assert still.state.waiting and still.state.has_prompts
    still.controller.cancel()
    assert not still.state.waiting and not still.state.has_prompts
    model.faults.clear()
    still.controller.redo()
    still.settle()
    equal(still.mask(), mask_at(SHAPE, (20, 30)))


def test_a_mask_that_makes_no_sense_is_refused(still: Rig, model: ScriptedModel) -> None:
    model.faults["infer"] = lambda handler: handler.send(
        200, {**model.answer(handler), "bbox": [0, 0, 500, 500]}
    )
    still.point("a", 20, 30)
    still.until(lambda: still.state.problem)
    assert "500" in still.state.problem.cause and still.state.has_prompts and not still.mask().any()


def test_the_person_waits_only_as_long_as_they_want(still: Rig, model: ScriptedModel) -> None:
    over = threading.Event()
    still.click("a", 20, 30)
    model.faults["infer"] = lambda _handler: over.wait(10)
    still.point("b", 60, 30)
    assert still.state.can_cancel and not still.state.busy
    still.polls(0.3)
    assert not still.state.busy, "a moment is not worth a word"
    still.until(lambda: still.state.busy)
    assert still.state.busy_text == "Asking the model" and still.state.waiting
    start = time.monotonic()
    still.controller.cancel()
    assert time.monotonic() - start < 0.2
    assert not still.state.busy and not still.state.can_cancel and not still.state.waiting
    assert len(still.state.prompts.of("point")) == 1 and still.state.can_redo
    model.faults.clear()
    still.click("c", 100, 60)
    equal(still.mask(), mask_at(SHAPE, (20, 30), (100, 60)))
    over.set()
    still.polls(0.2)
    assert still.state.problem is None and still.state.connection == ONLINE


def test_a_late_answer_changes_nothing(still: Rig, model: ScriptedModel) -> None:
    model.faults["infer"] = slow(model, 0.3)
    still.point("a", 20, 30)
    still.until(lambda: model.asked)
    still.controller.undo()
    model.faults.clear()
    still.click("b", 60, 30)
    still.polls(0.5)
    equal(still.mask(), mask_at(SHAPE, (60, 30)))
    still.point("c", 90, 60)
    still.scene.close()
    still.polls(0.3)
    assert still.state.shown is None and still.state.problem is None


def test_nothing_blocks_the_gui(still: Rig, model: ScriptedModel) -> None:
    model.faults["infer"] = slow(model, 0.4)
    model.faults["prefetch"] = slow(model, 0.4)
    longest = 0.0
    actions = [
        lambda: still.point("a", 20, 30),
        lambda: still.point("b", 60, 30),
        still.controller.undo,
        still.controller.redo,
        still.controller.refine,
        still.controller.cancel,
        still.controller.clear,
        lambda: still.controller.connect(model.server.address),
        lambda: still.point("c", 60, 30),
        still.controller.disconnect,
    ]
    for action in actions:
        for step in (action, *[still.controller.poll] * 5):
            start = time.thread_time()
            wall = time.monotonic()
            step()
            # what the thread itself spends; other processes on this machine do not count
            longest = max(longest, min(time.monotonic() - wall, 0.01 + time.thread_time() - start))
    assert longest < 0.2, longest


def test_a_server_that_dies_takes_nothing_along(scene: Any) -> None:
    rig = Rig(scene, timeout=(1.0, 5.0))
    with scripted_server() as first:
        model = ScriptedModel(first, SHAPE)
        rig.connect(first.address)
        rig.open(examples.still())
        rig.point("a", 20, 30)
        rig.controller.consent(True)
        rig.settle()
    rig.clients[-1].close()
    rig.point("b", 60, 30)
    rig.until(lambda: rig.state.connection == LOST)
    assert rig.state.problem.address == first.address and rig.state.problem.next_step
    assert len(rig.state.prompts.of("point")) == 2 and rig.state.waiting
    equal(rig.mask(), mask_at(SHAPE, (20, 30)))
    rig.paint(slice(70, 80), slice(90, 110))
    rig.controller.undo()  # undo works without a server
    rig.controller.redo()
    rig.point("c", 100, 20)
    assert rig.state.tools, "no tool is disabled: the prompts are sent later"

    with scripted_server(first.server_port) as again:
        model = ScriptedModel(again, SHAPE)
        model.faults["infer"] = lambda handler: (
            handler.send(200, model.answer(handler))
            if handler.query["session_id"] in model.sessions
            else handler.send(404, {"detail": "This session has expired."})
        )
        rig.settle()
        assert rig.state.connection == ONLINE and rig.state.problem is None
        assert rig.mask()[75, 100] and rig.mask()[30, 60] and rig.mask()[20, 100] and rig.mask()[30, 20]
        assert len(model.sessions) == 1, "the image was sent again, without being asked for"
        rig.close()


def test_without_a_server_prompts_are_kept_and_asked_later(rig: Rig, model: ScriptedModel) -> None:
    rig.open(examples.still(), "still-1")
    rig.point("a", 20, 30)
    assert "No server" in rig.state.problem.cause and rig.state.waiting
    rig.connect(model.server.address)
    rig.settle()
    equal(rig.mask(), mask_at(SHAPE, (20, 30)))
    assert rig.state.problem is None
    rig.controller.disconnect()
    assert rig.state.connection == OFFLINE and rig.state.tools == set()
    equal(rig.mask(), mask_at(SHAPE, (20, 30)))


def test_the_next_picture_is_prefetched_and_never_delays_a_click(
    rig: Rig, model: ScriptedModel, scene: Any
) -> None:
    wished: list[Any] = []

    def prefetch(handler: Handler) -> None:
        from scripted_model import params_of

        wished.append(params_of(handler)["plane"]["index"])
        time.sleep(0.3)
        handler.send(202, {"cached": False})

    model.faults["prefetch"] = prefetch
    rig.connect(model.server.address)
    rig.open(examples.cine(scene), "cine-1")
    rig.until(lambda: wished == [0])
    start = time.monotonic()
    rig.click("a", 20, 30)
    assert time.monotonic() - start < 0.25, "the prefetch of frame 0 is still under way"
    rig.until(lambda: wished == [0, 1])
    for frame in (1, 2, 3):  # scrolled over, not looked at
        rig.scene.go_to(frame)
    rig.until(lambda: wished == [0, 1, 3])
    rig.scene.go_to(2)
    rig.until(lambda: wished == [0, 1, 3, 2])
    rig.click("b", 60, 30)
    rig.polls(0.4)
    assert wished == [0, 1, 3, 2], "going back, the next is 1, which is known to be encoded"


@pytest.mark.parametrize("offered", [True, False])
def test_a_server_without_prefetch_is_as_good(rig: Rig, model: ScriptedModel, offered: bool) -> None:
    model.info = info(uniultra={"wire": 1, "features": ["prefetch"] if offered else []})
    model.faults["prefetch"] = lambda handler: handler.send(404, {"detail": "Not Found"})
    rig.connect(model.server.address)
    rig.open(examples.still(), "still-1")
    rig.polls(0.4)
    assert ("/prefetch/" + MODEL in model.routes()) == offered
    rig.click("a", 20, 30)
    assert rig.state.problem is None and rig.mask().any()


def test_other_work_goes_on_beside_prompts(still: Rig, model: ScriptedModel) -> None:
    order: list[Any] = []

    def task(client: Any, n: int) -> int:
        time.sleep(0.2)
        return n

    for n in range(2):
        still.controller.run(lambda client, n=n: task(client, n), order.append, what="Saving")
    still.controller.run(lambda client: client.image_ids(), order.append, order.append)
    model.faults["datastore"] = lambda handler: handler.send(500, {"detail": "broken"})
    still.point("a", 20, 30)
    still.until(lambda: still.mask().any())
    assert order == [], "the prompt waited for none of them"
    still.settle()
    assert order[:2] == [0, 1] and isinstance(order[2], ServerFailed) and still.state.problem is None
    still.controller.run(lambda client: task(client, 3), order.append, order.append, what="Saving")
    still.polls(0.05)
    still.controller.cancel()
    assert isinstance(order[3], JobCancelled) and not still.state.can_cancel
    still.polls(0.3)
    assert len(order) == 4
    still.controller.run(lambda client: 1 / 0, order.append, order.append)
    with pytest.raises(ZeroDivisionError):
        still.polls(1)
    still.controller.disconnect()
    still.controller.run(task, order.append)
    assert "No server" in still.state.problem.cause
