"""`POST /prefetch/{model}`: a picture is encoded before somebody clicks on it, and no click waits for it."""

from __future__ import annotations

import io
import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_process import infer, until
from monailabel.interfaces.utils.app import app_instance
from PIL import Image

from uniultra.images.types import Plane
from uniultra.predict import Predictor
from uniultra.predict.device import choose_device, worker
from uniultra.serve.tasks.image_cache import OpenImages
from uniultra.serve.tasks.prefetch import MOST, Prefetch


def wish(client: Any, index: int, axis: str = "k", model: str = "uniultra_mini", **query: str) -> Any:
    body = {"plane": {"axis": axis, "index": index}}
    return client.post(f"/prefetch/{model}", params=query, data={"params": json.dumps(body)})


def until_cached(client: Any, *place: Any, **query: str) -> None:
    until(lambda: wish(client, *place, **query).status_code == 200)


def test_a_wished_picture_is_encoded_and_its_first_click_is_a_later_one(tasks: Any) -> None:
    answer = wish(tasks, 2, image="cine")
    assert answer.status_code == 202 and answer.json() == {"cached": False}
    until_cached(tasks, 2, image="cine")
    click = infer(tasks, "uniultra_mini", "cine", foreground=[[40, 30, 2]], result="packed").json()
    assert click["timings"]["cached"] == 1
    other = infer(tasks, "uniultra_mini", "cine", foreground=[[40, 30, 3]], result="packed").json()
    assert other["timings"]["cached"] == 0


def test_of_a_session_and_across_a_volume(tasks: Any) -> None:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (30, 40), np.uint8)).save(file, "png")
    session = tasks.put("/session/", files={"files": ("a.png", file.getvalue())}).json()["session_id"]
    until_cached(tasks, 0, session_id=session)
    until_cached(tasks, 7, "j", image="volume")


def test_what_cannot_be_meant_is_refused(tasks: Any) -> None:
    assert wish(tasks, 0, image="no-such-image").status_code == 404
    assert wish(tasks, 0, session_id="no-such-session").status_code == 404
    assert wish(tasks, 0).status_code == 422
    assert wish(tasks, 0, model="no-such-model", image="cine").status_code == 404
    alone = wish(tasks, 0, model="autosamus_mini", image="cine")
    assert alone.status_code == 422 and "prompts" in alone.json()["detail"]
    for params in ("{}", "[]", '{"plane": {"axis": "k", "index": -1}}'):
        answer = tasks.post("/prefetch/uniultra_mini?image=cine", data={"params": params})
        assert answer.status_code == 422, params
    assert wish(tasks, 999, image="cine").status_code == 202, "a frame that is not there shows at the click"
    until_cached(tasks, 1, image="cine")


def test_a_click_goes_before_wishes(tasks: Any) -> None:
    device, gate = worker(choose_device("cpu")), threading.Event()
    held = device.submit(lambda: gate.wait(60))
    assert wish(tasks, 3, image="volume").status_code == 202
    time.sleep(0.2)
    order: list[str] = []
    clicked = device.submit(lambda: order.append("click"))
    ahead = device.submit_ahead(lambda: order.append("ahead"))
    gate.set()
    for future in (held, clicked, ahead):
        future.result(60)
    assert order == ["click", "ahead"]
    until_cached(tasks, 3, image="volume")


def test_info_says_who_answers_and_what_models_take(tasks: Any) -> None:
    info = tasks.get("/info/").json()
    assert info["uniultra"]["wire"] == 1 and "prefetch" in info["uniultra"]["features"]
    assert {"point", "box", "mask"} <= set(info["models"]["uniultra_mini"]["prompts"])
    assert info["models"]["autosamus_mini"]["prompts"] == []


def test_only_the_newest_wishes_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, all_in, done = threading.Event(), threading.Event(), []

    def encode(self: Predictor, source: Any, plane: Plane) -> bool:
        done.append(plane.index)
        first.set()
        assert all_in.wait(30)
        return True

    file = tmp_path / "a.png"
    Image.new("L", (8, 6)).save(file)
    monkeypatch.setattr(Predictor, "prefetch", encode)
    prefetch, predictor = Prefetch(OpenImages(1 << 20)), Predictor("uniultra_mini", device="cpu")
    assert prefetch.wish(predictor, file, None, Plane("k", 0)) is False
    assert first.wait(30)
    for n in range(1, MOST + 5):
        prefetch.wish(predictor, file, None, Plane("k", n))
    prefetch.wish(predictor, file, None, Plane("k", MOST))  # again: it is the newest now
    all_in.set()
    until(lambda: len(done) > MOST)
    assert done[:3] == [0, MOST, MOST + 4] and len(done) == MOST + 1 and min(done[1:]) == 5


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("ends", [MemoryError, IndexError, KeyboardInterrupt])
def test_a_wish_that_goes_wrong_ends_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: type[BaseException]
) -> None:
    done: list[int] = []

    def encode(self: Predictor, source: Any, plane: Plane) -> bool:
        done.append(plane.index)
        if plane.index == 0:
            raise ends
        return True

    file = tmp_path / "a.png"
    Image.new("L", (8, 6)).save(file)
    monkeypatch.setattr(Predictor, "prefetch", encode)
    before = threading.enumerate()
    prefetch, predictor = Prefetch(OpenImages(1 << 20)), Predictor("uniultra_mini", device="cpu")
    prefetch.wish(predictor, file, None, Plane("k", 0))
    until(lambda: done == [0])
    if not issubclass(ends, Exception):  # nothing in the thread catches it: the next wish begins another
        for thread in threading.enumerate():
            if thread.name == "prefetch" and thread not in before:
                thread.join(30)
    prefetch.wish(predictor, file, None, Plane("k", 1))
    until(lambda: done == [0, 1])


def test_who_clicks_while_others_wish_gets_the_same_masks(
    tasks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_instance()
    monkeypatch.setattr(app.images, "_max_bytes", 1)  # images and embeddings come and go all the time
    monkeypatch.setattr(app.task("uniultra_mini").predictor.cache, "limit", 2 << 20)
    places = [("volume", "k", 3), ("volume", "j", 7), ("cine", "k", 1), ("cine", "k", 2)]

    def click(image: str, axis: str, index: int) -> Any:
        point = [2, 2, 2]
        point["ijk".index(axis)] = index
        plane = {"axis": axis, "index": index}
        return infer(tasks, "uniultra_mini", image, plane=plane, foreground=[point], result="packed")

    def told(answer: Any) -> Any:
        assert answer.status_code == 200, answer.text
        return [answer.json().get(key) for key in ("bbox", "mask", "score", "plane")]

    alone = {place: told(click(*place)) for place in places}
    wrong: list[Any] = []

    def person(seed: int) -> None:
        for n in range(12):
            place = places[(seed * 5 + n * n) % len(places)]
            wished = wish(tasks, place[2], place[1], image=place[0]).status_code
            answer = click(*place)
            if wished not in (200, 202) or answer.status_code != 200 or told(answer) != alone[place]:
                wrong.append((place, wished, answer.status_code, answer.text[:200]))

    people = [threading.Thread(target=person, args=(seed,)) for seed in range(4)]
    for one in people:
        one.start()
    for one in people:
        one.join()
    assert not wrong
