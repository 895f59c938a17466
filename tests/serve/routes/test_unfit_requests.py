"""Requests with numbers, characters and shapes that nothing can hold: 422, and nothing is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_process import app_store, infer, png, put_label

from uniultra.store.store import LabelStore
from uniultra.store.types import Unit

BIG = 2**63
HALF = "\\ud800"  # as JSON writes half of a surrogate pair
DEEP = "[" * 200 + "]" * 200


@pytest.fixture
def store(client: Any) -> LabelStore:
    return app_store()


def kept(store: LabelStore) -> list[tuple[Path, int]]:
    """The journal, and every file of a version or of the quarantine."""
    files = [path for path in store.private.rglob("*") if path.is_file() and "index" not in path.name]
    return sorted((path, path.stat().st_size) for path in files)


def save(client: Any, params: str, image: str = "grey") -> Any:
    voxels = np.zeros((60, 80), np.uint8)
    voxels[10:30, 10:30] = 1
    return put_label(client, image, png(voxels), params)


def post(client: Any, path: str, body: str) -> Any:
    return client.post(path, content=body, headers={"content-type": "application/json"})


@pytest.mark.parametrize(
    "params",
    [
        f'{{"base_revision": {BIG}}}',
        f'{{"clicks": {BIG}}}',
        f'{{"frames": [{BIG}]}}',
        f'{{"annotator": "{HALF}"}}',
        '{"annotator": "x\\u0000"}',
        '{"client_id": "two\\nlines"}',
        '{"idempotency_key": "x\\u0000"}',
        f'{{"idempotency_key": "{HALF}"}}',
        f'{{"model": "{HALF}"}}',
        f'{{"comment": "{HALF}"}}',
        f'{{"{HALF}": 1}}',
        f'{{"label_info": [{{"name": "{HALF}", "idx": 1}}]}}',
        f'{{"prompts": [{{"label": "{HALF}"}}]}}',
        f'{{"free": {DEEP}}}',
        f'{{"prompts": [{{"free": {DEEP}}}]}}',
    ],
)
def test_a_label_with_what_cannot_be_kept_is_refused(client: Any, store: LabelStore, params: str) -> None:
    store.units()
    before = kept(store)
    answer = save(client, params)
    assert answer.status_code == 422 and "Expected" in answer.json()["detail"], answer.text[:300]
    assert "Nothing was saved" in answer.json()["detail"] and "studies" not in answer.text
    assert kept(store) == before and store.problems() == []


def test_numbers_beyond_the_columns_are_refused_in_addresses(client: Any, store: LabelStore) -> None:
    assert save(client, "{}", "volume").status_code in (200, 422)
    assert save(client, "{}").status_code == 200
    before = kept(store)
    for number in (2**31, BIG):
        for path in (f"/labels/grey/{number}", f"/labels/grey/{number}/masks", f"/labels?offset={number}"):
            assert client.get(path).status_code == 422, path
        said = {"state": "approved", "reviewer": "rita"}
        assert client.post(f"/labels/grey/{number}/review", json=said).status_code == 422
        for what in ("renew", "release", "skip"):
            body = f'{{"image": "grey", "frame": {number}, "annotator": "x", "reason": "r"}}'
            answer = post(client, f"/leases/{what}", body)
            assert answer.status_code == 422 and "frame" in answer.json()["detail"], what
    assert kept(store) == before
    assert client.get("/labels/grey/99").status_code == 404 and client.get("/labels?offset=5").json()
    assert (
        post(client, "/leases/skip", '{"image": "grey", "annotator": "x", "reason": "r"}').status_code == 200
    )
    assert store.skipped()[Unit("grey", 0)].keys() == {"x"}


@pytest.mark.parametrize("name", [HALF, "x\\u0000", "x" * 201])
def test_names_that_are_no_plain_text_are_refused(client: Any, store: LabelStore, name: str) -> None:
    assert save(client, "{}").status_code == 200
    before, leases = kept(store), store.leases()
    for what in ("renew", "release", "skip"):
        body = f'{{"image": "grey", "annotator": "{name}", "reason": "r"}}'
        assert post(client, f"/leases/{what}", body).status_code == 422, what
    for key in ("annotator", "client_id"):
        answer = post(client, "/activelearning/random", f'{{"annotator": "anna", "{key}": "{name}"}}')
        assert answer.status_code == 422 and "Expected" in answer.json()["detail"]
    body = f'{{"state": "approved", "reviewer": "{name}"}}'
    assert post(client, "/labels/grey/1/review", body).status_code == 422
    assert kept(store) == before and store.leases() == leases


@pytest.mark.parametrize("body", [f'["{HALF}"]', "[NaN]", f'"{HALF}"'])
def test_a_body_of_another_shape_is_refused_and_not_quoted(client: Any, body: str) -> None:
    for path in ("/leases/renew", "/labels/grey/1/review", "/activelearning/random", "/train/"):
        answer = post(client, path, body)
        assert answer.status_code == 422 and answer.json()["detail"][0].keys() == {"type", "loc", "msg"}


def test_halves_of_surrogate_pairs_are_refused_elsewhere(client: Any, store: LabelStore) -> None:
    before = kept(store)
    image = post(client, "/leases/renew", f'{{"image": "{HALF}", "annotator": "x"}}')
    assert image.status_code == 404
    comment = f'{{"state": "approved", "reviewer": "rita", "comment": "{HALF}"}}'
    assert post(client, "/labels/grey/1/review", comment).status_code == 422
    assert post(client, "/leases/skip", f'{{"image": "grey", "reason": "{HALF}"}}').status_code == 422
    info = client.put("/datastore/image/info?image=grey", data={"info": f'{{"a": "{HALF}"}}'})
    assert info.status_code == 422
    params = {"params": f'{{"image": "{HALF}", "foreground": [[1, 1]], "result": "packed"}}'}
    assert client.post("/infer/uniultra_mini", data=params).status_code == 404
    assert kept(store) == before


@pytest.mark.parametrize("image", ["cine", "volume"])
def test_a_roi_whose_middle_is_no_number_of_a_slice_is_refused(client: Any, image: str) -> None:
    for depth in ([1e308, 1.7e308], [1.7e308, 1.7e308], [-1.7e308, -1.7e308]):
        answer = infer(client, "uniultra_mini", image, roi=[1, 20, 3, 40, *depth], result="packed")
        assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("options", [5, "x", [1], True, 0])
def test_options_of_a_model_that_are_no_object_start_no_training(client: Any, options: Any) -> None:
    answer = client.post("/train/", json={"uniultra_mini": options})
    assert answer.status_code == 422 and "Nothing was started" in answer.json()["detail"], answer.text
