"""Versions of labels, reviews, agreement and leases over HTTP."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from in_process import app_store, infer, png, put_label, serving, until

from uniultra.serve.tasks.lease_renewal import LeaseRenewal
from uniultra.store.store import LabelStore

WIDTH, HEIGHT = 80, 60  # of the tiny studies
CAMPAIGN = {
    "name": "heads",
    "instructions": "The outer border.",
    "labels": [{"name": "head", "index": 1, "color": "#ff0000", "instructions": "without the scalp"}],
    "readers": 2,
    "skip_reasons": ["blurred"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("labelled")


@pytest.fixture(scope="module")
def campaign(folder: Path, tiny_studies: Callable[[Path], Path], without_networks: Any) -> Iterator[Any]:
    """A client of an application with a campaign of two readers."""
    studies = tiny_studies(folder / "studies")
    (studies / "campaign.yaml").write_text(yaml.safe_dump(CAMPAIGN))
    with pytest.MonkeyPatch.context() as patch:
        without_networks(patch)
        with serving(folder, studies, patch, models="uniultra_mini") as running:
            yield running


@pytest.fixture
def store(campaign: Any) -> LabelStore:
    return app_store()


def mask(left: int = 10, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> bytes:
    voxels = np.zeros(shape, np.uint8)
    voxels[10:30, left : left + 20] = 1
    return png(voxels)


def save(
    client: Any, image: str = "grey", tag: str = "final", data: bytes | None = None, **params: Any
) -> Any:
    return put_label(client, image, data or mask(), params, tag=tag)


def test_a_label_is_saved_resumed_reviewed_and_compared(campaign: Any) -> None:
    half = save(campaign, tag="draft", annotator="anna", data=mask(40))
    assert half.json() == {"image": "grey", "label": "grey", "revision": 1}
    listed = campaign.get("/labels/grey").json()["versions"]
    draft = next(v for v in listed if v["tag"] == "draft" and v["annotator"] == "anna")
    assert campaign.get(f"/labels/grey/{draft['revision']}").content == mask(40)
    cost = {"model": "uniultra_mini", "adapter": "bundle-1", "clicks": 4, "seconds": 12.5}
    prompts = {"foreground": [[1, 2, 0]]}
    also = {"client_id": "station 3", "note": "left side"}
    done = save(campaign, annotator="anna", base_revision=1, prompts=prompts, **cost, **also)
    assert done.status_code == 200 and done.json()["revision"] == 2
    kept = campaign.get("/labels/grey").json()["versions"][1]
    expected = {"annotator": "anna", "state": "final", "base": 1, "labels": {"head": 1}}
    assert {key: kept[key] for key in expected} == expected
    assert kept["origin"] == {**cost, "prompts": [prompts]}
    assert kept["info"]["note"] == "left side" and kept["info"]["client_id"] == "station 3"
    said = campaign.post(
        "/labels/grey/2/review", json={"state": "returned", "reviewer": "rita", "comment": "?"}
    )
    assert said.status_code == 200, said.text
    kept = campaign.get("/labels/grey").json()["versions"][1]
    assert kept["state"] == "returned" and kept["reviews"][0]["reviewer"] == "rita"
    assert save(campaign, annotator="anna", base_revision=2).json()["revision"] == 3
    assert save(campaign, client_id="ben", data=mask(12)).json()["revision"] == 4
    (pair,) = campaign.get("/labels/grey/agreement").json()["pairs"]
    assert pair["annotators"] == ["anna", "ben"] and pair["dice"] == pytest.approx(0.9)
    assert campaign.get("/datastore/label?label=grey&tag=final").content == mask(12)


def test_the_second_of_two_writers_is_told_what_stands(campaign: Any) -> None:
    assert save(campaign, "ward 3__colour", client_id="anna").json()["revision"] == 1
    assert save(campaign, "ward 3__colour", client_id="anna", base_revision=1).json()["revision"] == 2
    late = save(campaign, "ward 3__colour", client_id="anna", base_revision=1)
    assert late.status_code == 409
    newer = late.json()["detail"]["newer"]
    assert (newer["revision"], newer["annotator"]) == (2, "anna") and newer["made"].startswith("20")
    assert "Nothing was saved" in late.json()["detail"]["message"]
    assert len(campaign.get("/labels/ward 3__colour").json()["versions"]) == 2


def test_a_request_that_comes_twice_answers_the_same(campaign: Any) -> None:
    answers = [save(campaign, "volume", "draft", idempotency_key="k").json() for _ in range(2)]
    assert answers[0] == answers[1]


def test_frames_of_a_cine_are_named(campaign: Any) -> None:
    cine = campaign.get("/datastore/image", params={"image": "cine"}).content
    answer = put_label(campaign, "cine", cine, {"frames": [2, 0]}, tag="draft", name="label.nrrd")
    assert answer.status_code == 200, answer.text
    assert campaign.get("/labels/cine").json()["versions"][-1]["frames"] == [0, 2]


def test_stock_clients_label_info_is_honoured(campaign: Any) -> None:
    lines = [{"name": "cyst", "idx": 1}, {"name": "no index"}, "nonsense"]
    revision = save(campaign, tag="draft", label_info=lines).json()["revision"]
    assert campaign.get("/labels/grey").json()["versions"][revision - 1]["labels"] == {"cyst": 1}
    assert save(campaign, tag="draft", label_info="nonsense").status_code == 200


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"frames": "all"}, "frames"),
        ({"base_revision": -1}, "base_revision"),
        ({"seconds": -2}, "seconds"),
        ({"annotator": ["canary"]}, "annotator"),
        ({"prompts": "canary"}, "prompts"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"clicks": "canary"}, "clicks"),
    ],
)
def test_parameters_of_the_wrong_kind_are_named(campaign: Any, params: dict[str, Any], word: str) -> None:
    before = len(campaign.get("/labels/grey").json()["versions"])
    answer = save(campaign, **params)
    assert answer.status_code == 422 and word in answer.json()["detail"], answer.text
    assert "canary" not in answer.text
    assert len(campaign.get("/labels/grey").json()["versions"]) == before


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/labels/nothing", None, 404),
        ("GET", "/labels/..%2f..%2fetc", None, 404),
        ("GET", "/labels/grey/99", None, 404),
        ("GET", "/labels/grey/x", None, 422),
        ("GET", "/labels/nothing/agreement", None, 404),
        ("POST", "/labels/grey/1/review", {"state": "approved"}, 422),
        ("POST", "/labels/grey/99/review", {"state": "approved", "reviewer": "r"}, 404),
        ("POST", "/labels/volume/1/review", {"state": "approved", "reviewer": "r"}, 422),
        ("POST", "/leases/renew", {"image": "grey", "frame": 0, "annotator": "nobody"}, 404),
        ("POST", "/leases/renew", {"image": "grey", "frame": "0"}, 422),
        ("POST", "/leases/skip", {"image": "grey", "frame": 0, "annotator": "a"}, 422),
        ("POST", "/leases/skip", {"image": "nothing", "frame": 0, "annotator": "a", "reason": "x"}, 404),
        ("POST", "/leases/release", [], 422),
    ],
)
def test_what_is_refused(campaign: Any, method: str, path: str, body: Any, status: int) -> None:
    answer = campaign.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert "/studies" not in answer.text


def test_the_next_sample_is_leased_renewed_by_clicks_and_given_back(
    campaign: Any, store: LabelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = campaign.post("/activelearning/random", json={"client_id": "dora"}).json()
    assert Path(got["path"]).is_file() and got["frame"] == 0 and got["name"]
    assert got["lease"]["annotator"] == "dora" and got["lease"]["image"] == got["id"]
    noted = campaign.get("/datastore/image/info", params={"image": got["id"]}).json()
    assert noted["strategy"]["random"]["client_id"] == "dora", "as stock notes it"
    touched: list[tuple[str, str]] = []
    monkeypatch.setattr(LabelStore, "touch", lambda self, *who: touched.append(who))
    for _ in range(3):
        infer(
            campaign, "uniultra_mini", got["id"], foreground=[[20, 20, 0]], client_id="dora", result="packed"
        )
    until(lambda: touched)
    assert touched == [(got["id"], "dora")], "once, not at every click"
    monkeypatch.undo()
    lease = {"image": got["id"], "frame": 0, "annotator": "dora"}
    renewed = campaign.post("/leases/renew", json=lease).json()
    assert renewed["until"] >= got["lease"]["until"]
    assert campaign.post("/leases/release", json=lease).json() == {}
    assert campaign.post("/leases/renew", json=lease).status_code == 404
    assert campaign.post("/leases/skip", json={**lease, "reason": "blurred"}).status_code == 200
    others = {
        campaign.post("/activelearning/random", json={"client_id": "dora"}).json()["id"] for _ in range(3)
    }
    assert got["id"] not in others
    for running in store.leases():
        store.release(running.unit, running.annotator)


def test_nothing_is_left_is_an_empty_answer(campaign: Any, store: LabelStore) -> None:
    for unit in store.units():
        store.skip(unit, "eve", "blurred")
    assert campaign.post("/activelearning/random", json={"client_id": "eve"}).json() == {}


def test_info_tells_the_campaign(campaign: Any) -> None:
    known = campaign.get("/info/").json()
    told = known["campaign"]
    assert told["labels"] == CAMPAIGN["labels"] and told["instructions"] == "The outer border."
    assert told["readers"] == 2 and told["skip_reasons"] == ["blurred"]
    assert known["labels"] == ["head"] and known["models"]["uniultra_mini"]["labels"] == ["head"]


def test_no_name_or_id_is_in_the_log(campaign: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "uniultra")
    save(campaign, annotator="jane canary", base_revision=0, note="canary")
    save(campaign, "canary", annotator="jane canary")
    campaign.get("/labels/canary")
    campaign.post("/labels/grey/2/review", json={"state": "approved", "reviewer": "jane canary"})
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("uniultra")]
    assert ours and not [line for line in ours if "canary" in line or "grey" in line]


def test_a_click_costs_no_more_than_a_look_into_a_table(store: LabelStore) -> None:
    touch = LeaseRenewal(store)
    touch.click("grey", "anna")

    started = time.perf_counter()
    for _ in range(1000):
        touch.click("grey", "anna")
    assert time.perf_counter() - started < 0.5
