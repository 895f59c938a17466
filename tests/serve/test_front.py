from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from in_process import infer, png, until
from monailabel.interfaces.utils.app import app_instance

from uniultra.errors import ModelError
from uniultra.serve.settings import Settings
from uniultra.serve.wire.packing import unpack_mask

MODEL = "uniultra_mini"
URL = f"/infer/{MODEL}"


def click(client: Any, image: str = "grey", x: int = 40, y: int = 30, k: int = 0, **params: Any) -> Any:
    return infer(client, MODEL, image, foreground=[[x, y, k]], result="packed", **params)


def test_info_is_answered_while_more_people_click_than_there_are_threads(client: Any, predictor: Any) -> None:
    while predictor.waiting.acquire(blocking=False):
        pass
    predictor.gate.clear()
    with ThreadPoolExecutor(24) as people:
        clicks = [people.submit(click, client, "grey", 10 + n) for n in range(24)]
        for _ in range(16):  # every thread for clicks is taken now, and eight wait for one
            assert predictor.waiting.acquire(timeout=30)
        for path in ("/info/", "/datastore/?output=all", "/datastore/image?image=grey", "/logs/gpu", "/"):
            client.get(path)
        for path in ("/campaign", "/campaign/data", "/campaign/thumbnail/cine/1"):
            assert client.get(path).status_code == 200
        assert client.get("/info/").json()["models"]["uniultra_mini"]["dimension"] == 2
        assert client.post("/activelearning/random", json={}).status_code == 200
        assert client.put("/session/", files={"files": ("a.png", png())}).status_code == 200
        assert not any(c.done() for c in clicks)
        predictor.gate.set()
        for n, answer in enumerate(c.result(30) for c in clicks):
            assert answer.json()["bbox"] == [5 + n, 25, 15 + n, 35]  # each got the mask of its own click


def test_clicks_are_answered_while_more_whole_images_wait_than_there_are_threads(
    client: Any, predictor: Any
) -> None:
    predictor.alone.clear()
    with ThreadPoolExecutor(24) as people:
        ask = partial(client.post, "/infer/autosamus_mini?image=grey", data={"params": "{}"})
        whole = [people.submit(ask) for _ in range(20)]
        batch = people.submit(client.post, "/batch/infer/autosamus_mini?run_sync=true", json={})
        running = partial(client.get, "/batch/infer?check_if_running=true")
        until(lambda: running().status_code == 200)  # the batch has come through behind the twenty
        for n in range(3):
            assert click(client, x=10 + n).status_code == 200
        assert client.get("/batch/infer").status_code == 200
        assert client.post("/activelearning/random", json={}).status_code == 200
        assert not any(w.done() for w in [*whole, batch])
        predictor.alone.set()
        assert {w.result(30).status_code for w in [*whole, batch]} == {200}
    for image in batch.result().json():
        assert client.delete("/datastore/label", params={"id": image, "tag": "original"}).status_code == 200


def test_every_route_of_monai_label_has_one_of_ours_in_front(client: Any) -> None:
    from fastapi.routing import APIRoute

    from uniultra.serve.front import router

    ours = {(m, r.path) for r in router(False).routes for m in r.methods}
    names = "info model infer wsi_infer batch_infer train activelearning scoring datastore logs ohif session"
    stock = set()
    for name in names.split():
        routes = import_module(f"monailabel.endpoints.{name}").router.routes
        stock |= {(m, r.path) for r in routes if isinstance(r, APIRoute) for m in r.methods}
    assert len(stock) > 40
    assert stock - ours == set()


def test_our_routes_come_first_once(client: Any) -> None:
    from monailabel.app import app

    from uniultra.serve import front

    before = list(app.router.routes)
    front.install(app, Settings(allow_reload=True))
    assert app.router.routes == before
    # MONAI Label knows no packed answer
    assert click(client).json()["plane"] == {"axis": "k", "index": 0}


def test_a_packed_answer(client: Any) -> None:
    answer = click(client, "volume", 20, 30, 3)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["frame"] == 3 and body["model"] == "uniultra_mini" and body["adapter"] is None
    assert unpack_mask(body["bbox"], body["mask"], (60, 80))[30, 20]
    assert len(answer.content) < 5_000


def test_several_objects_in_one_answer(client: Any) -> None:
    objects = [{"foreground": [[20, 20, 1]]}, {"foreground": [[60, 40, 1]]}]
    answer = infer(client, MODEL, "volume", objects=objects, result="packed").json()
    assert [o["bbox"] for o in answer["objects"]] == [[15, 15, 25, 25], [55, 35, 65, 45]]
    refused = infer(client, MODEL, "volume", objects=objects)
    assert refused.status_code == 422 and "packed" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("output", "kind"), [("json", "application/json"), ("image", "application/octet-stream")]
)
def test_the_kinds_of_answers_of_stock(client: Any, output: str, kind: str) -> None:
    answer = infer(client, MODEL, "grey", {"output": output}, foreground=[[40, 30, 0]], label="head")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith(kind)
    if output == "json":
        body = answer.json()
        assert body["label_names"] == {"head": 1} and body["score"] == 0.5 and "total" in body["latencies"]
    else:
        assert answer.content.startswith(b"NRRD")


def test_an_image_may_come_with_the_request(client: Any) -> None:
    opened = len(app_instance().images)
    answer = client.post(
        URL,
        files={"file": ("/home/someone/a.png", png())},
        data={"params": '{"foreground": [[3, 3]], "result": "packed"}'},
    )
    assert answer.status_code == 200 and answer.json()["bbox"] == [0, 0, 7, 5]
    assert len(app_instance().images) == opened, "it will not be asked for again"


def test_a_result_can_be_saved_as_a_label(client: Any) -> None:
    kept = {"save_label": True, "label_tag": "auto"}
    answer = infer(client, MODEL, "grey", {"output": "json"}, foreground=[[40, 30, 0]], **kept)
    assert answer.status_code == 200, answer.text
    label = client.get("/datastore/label", params={"label": "grey", "tag": "auto"})
    assert label.content.startswith(b"NRRD")
    info = client.get("/datastore/label/info", params={"label": "grey", "tag": "auto"}).json()
    assert info["model"] == "uniultra_mini"
    assert client.delete("/datastore/label", params={"id": "grey", "tag": "auto"}).status_code == 200
    assert client.head("/datastore/label", params={"image": "grey", "tag": "auto"}).status_code == 404


def test_a_models_answer_is_never_saved_as_a_final_label(client: Any) -> None:
    kept = {"save_label": True, "label_tag": "final"}
    answer = infer(client, MODEL, "grey", {"output": "json"}, foreground=[[40, 30, 0]], **kept)
    assert answer.status_code == 422 and "Final labels are people's" in answer.json()["detail"]
    assert client.head("/datastore/label", params={"image": "grey", "tag": "final"}).status_code == 404


@pytest.mark.parametrize("with_length", [True, False])
def test_a_body_beyond_the_limit_is_refused(client: Any, with_length: bool) -> None:
    data = b"x" * ((1 << 20) + 1)
    content = data if with_length else (data[n : n + 65536] for n in range(0, len(data), 65536))
    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert client.put("/datastore/image?image=big", content=content, headers=headers).status_code == 413


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://testserver.evil.example", "x"])
def test_pages_of_other_origins_are_not_let_in(client: Any, origin: str) -> None:
    for answer in (
        client.get("/info/", headers={"origin": origin}),
        client.post("/infer/uniultra_mini?image=grey", data={"params": "{}"}, headers={"origin": origin}),
    ):
        assert answer.status_code == 403 and "MONAI_LABEL_CORS_ORIGINS" in answer.json()["detail"]
        assert not any(name.startswith("access-control") for name in answer.headers)
    assert client.get("/info/", headers={"origin": "http://testserver"}).status_code == 200


def test_a_machine_without_a_gpu_says_so(client: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("PATH", "")
    answer = client.get("/logs/gpu")
    assert answer.status_code == 404 and "no GPU" in answer.json()["detail"]


def test_reload_is_off(client: Any) -> None:
    answer = client.post("/reload")
    assert answer.status_code == 403 and "allow_reload" in answer.json()["detail"]


def test_a_failure_is_that_clicks_alone_and_says_nothing(client: Any, predictor: Any, caplog: Any) -> None:
    predictor.failure = RuntimeError("CUDA out of memory for jane-doe")
    with caplog.at_level(logging.DEBUG):
        answer = click(client)
    assert answer.status_code == 500
    assert "jane" not in answer.text + caplog.text
    predictor.failure = None
    assert click(client).status_code == 200


def test_weights_that_are_missing_are_the_servers_fault(client: Any, predictor: Any) -> None:
    predictor.failure = ModelError("The weights are missing; run uniultra doctor.")
    answer = click(client)
    assert answer.status_code == 503 and "doctor" in answer.json()["detail"]


def test_the_weights_are_loaded_before_anyone_asks(client: Any, predictor: Any) -> None:
    assert predictor.warmed.wait(10)


def test_requests_are_logged_by_their_route(client: Any, caplog: Any) -> None:
    with caplog.at_level(logging.INFO, "uniultra.serve.http.access"):
        click(client, "grey", secret="jane-doe")
        client.get("/session/jane-doe?update_ts=true&of=jane-doe")
        client.get("/jane-doe/nowhere")
    assert "POST /infer/{model} 200" in caplog.text
    assert "GET /session/{session_id} 404" in caplog.text
    assert "(no route) 404" in caplog.text
    assert "jane" not in "".join(r.getMessage() for r in caplog.records if r.name.startswith("uniultra"))


def test_the_next_sample_survives_the_last_image_within_one_second(client: Any) -> None:
    for _ in range(8):
        answer = client.post("/activelearning/random", json={"client_id": "anna"})
        assert answer.status_code == 200 and answer.json()["lease"]["annotator"] == "anna"
        assert Path(answer.json()["path"]).is_file()  # stock clients on this machine open it


def test_checksums_of_downloads(client: Any) -> None:
    import hashlib

    data = client.get("/datastore/image", params={"image": "grey"}).content
    digest = hashlib.sha256(data).hexdigest()
    for good in (f"SHA256:{digest}", digest, f"MD5:{hashlib.md5(data).hexdigest()}"):
        answer = client.head("/datastore/image", params={"image": "grey", "check_sum": good})
        assert answer.status_code == 200
    for bad, status in ((f"SHA256:{digest[::-1]}", 404), ("CRC:00", 422), ("é", 404)):
        answer = client.head("/datastore/image", params={"image": "grey", "check_sum": bad})
        assert answer.status_code == status


REFUSED = [
    ("POST", "/activelearning/nonsense", {}, 404),
    ("POST", "/activelearning/random", {"strategy": "nonsense"}, 404),
    ("POST", "/activelearning/random", {"label_tag": "../x"}, 422),
    ("POST", "/train/uniultra_mini", {}, 422),
    ("POST", "/train/x", {"model": "y", "bundle_path": "/tmp"}, 404),
    ("POST", "/train/", {"some_model": {"bundle_path": "/tmp"}}, 422),
    ("POST", "/scoring/", {"model_filename": "x"}, 422),
    ("POST", "/scoring/dice", {}, 404),
    ("POST", "/batch/infer/uniultra_mini", {"model": "nonsense"}, 404),
    ("POST", "/infer/wsi/uniultra_mini?image=/etc/hostname", {}, 404),
    ("POST", "/infer/wsi_v2/uniultra_mini?image=/etc/hostname", {}, 404),
    ("GET", "/proxy/dicom/wado/studies", None, 404),
    ("GET", "/ohif/%2e%2e", None, 404),
    ("GET", "/model/uniultra_mini", None, 404),
    ("GET", "/model/nonsense", None, 404),
    ("DELETE", "/model/uniultra_mini", None, 403),
    ("GET", "/datastore/dataset", None, 404),
    ("GET", "/datastore/label?label=grey&tag=../../x", None, 422),
    ("GET", "/datastore/image/info?image=../grey", None, 404),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), REFUSED)
def test_what_is_refused_says_why(client: Any, method: str, path: str, body: Any, status: int) -> None:
    answer = client.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert len(answer.json()["detail"]) > 20


def test_weights_are_not_uploaded(client: Any) -> None:
    answer = client.put("/model/uniultra_mini", files={"file": ("a.pt", b"pickle")})
    assert answer.status_code == 403


@pytest.mark.parametrize("info", ["[]", "text", '{"a": NaN}', "[" * 100_000])
def test_information_must_be_an_object(client: Any, info: str) -> None:
    answer = client.put("/datastore/image/info", params={"image": "grey"}, data={"info": info})
    assert answer.status_code == 422, answer.text


def test_an_upload_takes_no_room_among_the_opened_images_before_it_is_clicked(
    client: Any, predictor: Any
) -> None:
    opened = app_instance().images
    before = len(opened)
    session = client.put("/session/", files={"files": ("a.png", png())}).json()["session_id"]
    assert len(opened) == before
    body = {"params": json.dumps({"foreground": [[3, 3]], "result": "packed"})}
    for _ in range(2):
        assert client.post(f"{URL}?session_id={session}", data=body).status_code == 200
    assert len(opened) == before + 1
