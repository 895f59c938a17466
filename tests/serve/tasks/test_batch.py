"""`/batch/infer`: a model without prompts over the images of the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import itk
import numpy as np
import pytest
from in_process import app_store, infer, until

from uniultra.serve.tasks.batch import WholeImages

URL = "/batch/infer/autosamus_mini"
IMAGES = {"grey", "ward 3__colour", "volume", "cine"}


@pytest.fixture
def long_cine(studies: Path) -> Iterator[str]:
    """A cine that takes its time."""
    path = studies / "a long.seq.nrrd"
    frames = np.random.default_rng(1).integers(0, 255, (900, 24, 32), np.uint8)
    itk.imwrite(itk.image_from_array(frames), str(path))
    yield "a long"
    path.unlink()


def labels(client: Any, tag: str) -> set[str]:
    objects = client.get("/datastore/?output=all").json()["objects"]
    return {name for name, one in objects.items() if tag in one["labels"]}


def test_run_sync_answers_with_the_labels(tasks: Any, studies: Path) -> None:
    broken = studies / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    # the default body of MONAI Label's route
    body = {"device": "cuda", "multi_gpu": True, "gpus": "all", "save_label": True, "label_tag": "batch"}
    answer = tasks.post(URL, params={"run_sync": True}, json={**body, "max_workers": 1, "max_batch_size": 0})
    broken.unlink()
    assert answer.status_code == 200, answer.text
    results = answer.json()
    assert results.keys() == {*IMAGES, "broken"}
    assert results["broken"].keys() == {"error"} and len(results["broken"]["error"]) > 20
    assert results["volume"]["label"] == "volume" and results["volume"]["tag"] == "batch"
    assert results["volume"]["params"]["label_names"] == {"structure": 1}
    assert not any(str(studies.parent) in str(one) or "file" in one for one in results.values())
    assert labels(tasks, "batch") == IMAGES
    info = tasks.get("/datastore/label/info", params={"label": "volume", "tag": "batch"}).json()
    assert info["model"] == "autosamus_mini"
    whole = infer(tasks, "autosamus_mini", "cine", {"output": "image"})
    kept = tasks.get("/datastore/label", params={"label": "cine", "tag": "batch"})
    assert kept.content == whole.content, "every frame, as from /infer"
    record = tasks.get("/batch/infer").json()
    assert record["counts"] == {"total": 5, "saved": 4, "skipped": 0, "failed": 1}
    assert record["status"] == "DONE" and record["request"]["model"] == "autosamus_mini"
    assert any(line.startswith("broken: failed: ") for line in record["details"])


def test_a_run_in_the_background(tasks: Any) -> None:
    started = tasks.post(URL, params={"images": "unlabeled"}, json={"label_tag": "later"})
    assert started.status_code == 200, started.text
    record = started.json()
    assert {"id", "status", "request", "start_ts"} <= record.keys() and record["counts"]["total"] == 4
    until(lambda: tasks.get("/batch/infer").json()["status"] == "DONE")
    assert tasks.get("/batch/infer").json()["id"] == record["id"]
    assert labels(tasks, "later") == IMAGES
    again = tasks.post(URL, params={"images": "unlabeled", "run_sync": True}, json={"label_tag": "later"})
    assert again.json() == {}, "all have that label now"
    assert tasks.get("/batch/infer?all=true").json()[-2]["id"] == record["id"]
    assert tasks.get("/batch/infer?check_if_running=true").status_code == 404


def test_chosen_images_and_a_limit(tasks: Any) -> None:
    body = {"label_tag": "few", "images": ["grey", "nowhere", "/etc/hostname"]}
    results = tasks.post(URL, params={"run_sync": True}, json=body).json()
    assert results["nowhere"]["error"] and results["/etc/hostname"]["error"]
    assert labels(tasks, "few") == {"grey"}
    one = tasks.post(URL, params={"run_sync": True}, json={"label_tag": "few", "max_batch_size": 1})
    assert list(one.json()) == ["cine"]


def test_clicks_are_answered_while_it_runs_and_it_can_be_stopped(tasks: Any, long_cine: str) -> None:
    assert tasks.post(URL, json={"label_tag": "long"}).status_code == 200
    for x in range(3):
        click = infer(tasks, "uniultra_mini", "grey", foreground=[[10 + x, 30, 0]], result="packed")
        assert click.status_code == 200
        assert tasks.get("/info/").status_code == 200
    running = tasks.get("/batch/infer?check_if_running=true")
    assert running.status_code == 200 and running.json()["counts"]["saved"] == 0, "still at its first image"
    second = tasks.post(URL, params={"run_sync": True}, json={})
    assert second.status_code == 429 and "DELETE /batch/infer" in second.json()["detail"]
    stopped = tasks.delete("/batch/infer").json()
    assert stopped["status"] == "STOPPED" and stopped["end_ts"]
    assert labels(tasks, "long") == set()
    assert tasks.delete("/batch/infer").json() is None


@pytest.mark.parametrize("images", ["all", "unlabeled"])
def test_final_labels_are_peoples(tasks: Any, images: str) -> None:
    refused = tasks.post(URL, params={"images": images}, json={"label_tag": "final"})
    assert refused.status_code == 422 and "Final labels" in refused.json()["detail"]
    assert labels(tasks, "final") == set()


def test_a_label_saved_meanwhile_stays(tasks: Any) -> None:
    from monailabel.interfaces.utils.app import app_instance

    app = app_instance()
    label = app.datastore().get_label_uri("grey", "batch")

    def infer_slowly(request: dict[str, Any], store: Any, check_cancelled: Any) -> dict[str, Any]:
        result = app.infer(request, store, check_cancelled)
        store.save_label(request["image"], label, "mine", {"by": "somebody"})
        return result

    request = {"model": "autosamus_mini", "images": ["cine"], "label_tag": "mine"}
    results = WholeImages()(request, app.datastore(), infer_slowly)
    assert results["cine"].keys() == {"skipped"}
    assert app.datastore().get_label_info("cine", "mine")["by"] == "somebody"
    app.datastore().remove_label("cine", "mine")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("uniultra_mini", {}, 422),
        ("nonsense", {}, 404),
        ("autosamus_t", {}, 503),
        ("autosamus_mini", {"model": "uniultra_mini"}, 422),
        ("autosamus_mini", {"images": "some"}, 422),
        ("autosamus_mini", {"images": [1]}, 422),
        ("autosamus_mini", {"images": {"a": 1}}, 422),
        ("autosamus_mini", {"max_batch_size": "many"}, 422),
        ("autosamus_mini", {"max_batch_size": -1}, 422),
        ("autosamus_mini", {"label_tag": "../../evil"}, 422),
        ("autosamus_mini", {"label_tag": ["final"]}, 422),
        ("autosamus_mini", {"result": "packed"}, 422),
        ("autosamus_mini", {"result_extension": ".exe"}, 422),
        ("autosamus_mini", {"bundle_path": "/tmp"}, 422),
        ("autosamus_mini", [], 422),
    ],
)
def test_what_cannot_be_done_is_refused_before_it_starts(
    tasks: Any, path: str, body: Any, status: int
) -> None:
    runs = len(tasks.get("/batch/infer?all=true").json())
    answer = tasks.post(f"/batch/infer/{path}", json=body)
    assert answer.status_code == status and answer.json()["detail"], answer.text
    assert len(tasks.get("/batch/infer?all=true").json()) == runs


@pytest.fixture
def campaign(studies: Path) -> Iterator[None]:
    """A campaign of two structures while a test runs."""
    file = studies / "campaign.yaml"
    file.write_text("labels:\n- {name: lesion, index: 5}\n- {name: cyst, index: 2}\n")
    yield
    file.unlink()


@pytest.mark.usefixtures("campaign")
def test_answers_are_of_a_structure_of_the_campaign_and_say_who_made_them(tasks: Any, studies: Path) -> None:

    body = {"label_tag": "original", "images": ["cine"]}
    refused = tasks.post(URL, params={"run_sync": True}, json=body)
    assert refused.status_code == 422 and "lesion, cyst" in refused.json()["detail"]
    answer = tasks.post(URL, params={"run_sync": True}, json={**body, "label": "lesion"})
    assert answer.json()["cine"]["params"]["label_names"] == {"lesion": 1}
    store = app_store()
    version = store.versions("cine")[-1]
    assert (version.tag, version.annotator, version.origin.model) == ("original", "", "autosamus_mini")
    assert version.frames == tuple(range(len(version.frames))) and len(version.frames) > 1
    values = set(np.unique(itk.array_from_image(itk.imread(str(store.path(version))))))
    assert values <= {0, 5} and "cine" not in {label.image for label in store.trainable()}


def test_somebodys_label_of_any_tag_stays(tasks: Any, studies: Path) -> None:
    label = {"label": ("grey.png", (studies / "grey.png").read_bytes())}
    assert tasks.put("/datastore/label?image=grey&tag=reading", files=label).status_code == 200
    before = tasks.get("/datastore/label?label=grey&tag=reading").content
    body = {"label_tag": "reading", "images": ["grey", "colour", "volume"]}
    results = tasks.post(URL, params={"run_sync": True}, json=body).json()
    assert "kept" in results["grey"]["skipped"] and results["volume"]["label"] == "volume"
    assert tasks.get("/datastore/label?label=grey&tag=reading").content == before
