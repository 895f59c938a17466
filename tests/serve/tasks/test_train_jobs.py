"""`/train` as stock clients use it, over jobs that are gone on with."""

import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from adapting_parts import make_campaign
from in_process import infer, serving, until

from uniultra.adapt import job as jobs
from uniultra.adapt.job import Ended, Progress
from uniultra.errors import RequestError
from uniultra.models import build
from uniultra.serve.settings import Settings
from uniultra.serve.tasks import train_jobs
from uniultra.serve.tasks.train import AdaptTask
from uniultra.serve.tasks.train_jobs import BusyError, Trainings, fit_settings
from uniultra.weights import bundle, loading, tensors
from uniultra.weights.deployed import Published

MODEL = "uniultra_mini"
# Stands in for the process of a training: works for as long as no file `go` is there, then ends as told.
WORKER = """
import json, os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
if (folder / "elsewhere").exists():  # another server works on it
    with (folder / "elsewhere").open("a") as tries:
        tries.write(".")
    sys.exit(75)
(folder / "pid").write_text(str(os.getpid()))
with (folder / "log.jsonl").open("a") as log:
    log.write('{"begun": true}\\n')
while not (folder / "go").exists():
    time.sleep(0.02)
(folder / "part").write_text(json.dumps({"status": "DONE", "when": "2026-01-01T00:00:00Z"}))
(folder / "part").rename(folder / "ended.json")
"""


@pytest.fixture
def studies(tmp_path, monkeypatch):
    """A studies folder beside random weights, and a short worker in the place of the training.

    No worker outlives its test.
    """
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tmp_path / "weights"))
    torch.manual_seed(4)
    tensors.save(tmp_path / "weights" / f"{MODEL}.safetensors", build(MODEL, 64), {})
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER)
    monkeypatch.setattr(train_jobs, "PROCESS", (str(worker),))
    made, real = [], Trainings.__init__

    def remembered(self, *args, **named):
        made.append(self)
        real(self, *args, **named)

    monkeypatch.setattr(Trainings, "__init__", remembered)
    yield tmp_path / "studies"
    for one in made:
        one.close()
        assert one.wait(30)


@pytest.fixture
def labels(studies):
    """The labels of its campaign."""
    return make_campaign(studies, 6)


def let_go(studies: Path, one: str) -> None:
    (studies / jobs.FOLDER / one / "go").touch()


def begun(studies: Path, one: str, times: int = 1) -> None:
    folder = jobs.JobFolder(studies / jobs.FOLDER / one)
    until(lambda: sum("begun" in line for line in folder.lines()) >= times)


def test_stop_and_start_at_every_label_goes_on_and_newer_labels_follow(studies, labels):
    now = labels[:3]
    trainings = Trainings(studies, lambda: now, Settings(train_nice=0, device="cpu"))
    first = trainings.start(MODEL, {"model": MODEL})
    assert jobs.jobs(studies)[0].job().device == "cpu"
    assert first["status"] == "RUNNING" and trainings.current()["id"] == first["id"]
    with pytest.raises(BusyError):
        trainings.start(MODEL, {"model": MODEL})
    begun(studies, first["id"])
    assert trainings.stop()["status"] == "STOPPED"
    assert trainings.current() is None and trainings.stop() is None
    now = labels[:4]  # what the client submitted
    again = trainings.start(MODEL, {"model": MODEL})
    assert again["id"] == first["id"] and len(trainings.records()) == 1
    begun(studies, first["id"], 2)
    let_go(studies, first["id"])
    until(lambda: len(trainings.records()) == 2)
    done, new = trainings.records()
    assert done["status"] == "DONE" and new["status"] == "RUNNING"
    snapshots = [len(folder.job().labels) for folder in jobs.jobs(studies)]
    assert snapshots == [3, 4]
    let_go(studies, new["id"])
    assert trainings.wait(60)
    assert [one["status"] for one in trainings.records()] == ["DONE", "DONE"]
    assert {"id", "status", "request", "start_ts", "details", "end_ts"} <= set(trainings.records()[0])


def test_a_killed_process_is_started_again_and_a_dying_one_is_given_up(studies, labels):
    trainings = Trainings(studies, lambda: labels, Settings(train_nice=0))
    first = trainings.start(MODEL, {"model": MODEL})["id"]
    for times in range(1, train_jobs.CRASHES + 1):
        begun(studies, first, times)
        os.kill(int((jobs.jobs(studies)[0].path / "pid").read_text()), signal.SIGKILL)
    assert trainings.wait(60)
    [record] = trainings.records()
    assert record["status"] == "ERROR" and "died" in record["error"]


def test_a_job_that_another_server_works_on_is_waited_for(studies, labels, monkeypatch):
    monkeypatch.setattr(train_jobs, "LATER", 0.05)
    trainings = Trainings(studies, lambda: labels, Settings(train_nice=0))
    folder = jobs.create(studies, MODEL, labels, fit_settings(MODEL, {}))
    (folder.path / "elsewhere").touch()
    trainings.start(MODEL, {"model": MODEL})
    until(lambda: (folder.path / "elsewhere").stat().st_size > train_jobs.CRASHES)
    assert folder.ended() is None, "it has not crashed"
    (folder.path / "elsewhere").unlink()
    begun(studies, folder.path.name)
    let_go(studies, folder.path.name)
    until(folder.ended)
    assert folder.ended().status == "DONE"


def test_a_queued_model_goes_on_with_the_job_that_it_has(studies, labels):
    other = "sam2_mini"
    tensors.save(studies.parent / "weights" / f"{other}.safetensors", build(other, 64), {})
    cut = jobs.create(studies, other, labels[:3], fit_settings(other, {}))
    cut.stop(True)
    trainings = Trainings(studies, lambda: labels, Settings(train_nice=0))
    first = trainings.start(MODEL, {"model": MODEL})["id"]
    trainings.start(other, {"model": other}, enqueue=True)
    let_go(studies, first)
    begun(studies, cut.path.name)
    assert trainings.current()["id"] == cut.path.name
    assert len(jobs.jobs(studies)) == 2
    trainings.stop()


def test_a_job_that_cannot_be_read_is_left_out_and_said_once(studies, labels, caplog):
    kept = jobs.create(studies, MODEL, labels[:3], fit_settings(MODEL, {}))
    lost = jobs.create(studies, MODEL, labels, fit_settings(MODEL, {}))
    (lost.path / "job.json").write_text((lost.path / "job.json").read_text().replace('"seed"', '"newer"'))
    trainings = Trainings(studies, lambda: labels, Settings(train_nice=0))
    assert AdaptTask(MODEL, trainings).stats() == {}
    assert trainings.last(MODEL).path == kept.path
    assert [one["id"] for one in trainings.records()] == [kept.path.name]
    trainings.go_on()
    assert trainings.current()["id"] == kept.path.name
    trainings.stop()
    assert trainings.start(MODEL, {"model": MODEL})["id"] == kept.path.name
    trainings.stop()
    told = [one for one in caplog.messages if lost.path.name in one]
    assert len(told) == 1 and "left out" in told[0]


def test_what_a_server_left_unfinished_is_gone_on_with_unless_somebody_stopped_it(studies, labels):
    left = Trainings(studies, lambda: labels, Settings(train_nice=0))
    first = left.start(MODEL, {"model": MODEL})["id"]
    begun(studies, first)
    left.close()
    assert left.wait(60) and left.records()[0]["status"] == "SUBMITTED"
    fresh = Trainings(studies, lambda: labels, Settings(train_nice=0))
    fresh.go_on()
    assert fresh.current()["id"] == first
    begun(studies, first, 2)
    fresh.stop()
    third = Trainings(studies, lambda: labels, Settings(train_nice=0))
    third.go_on()
    assert third.current() is None


def test_jobs_of_one_second_are_in_order(studies, labels):
    made = [jobs.create(studies, MODEL, labels, fit_settings(MODEL, {})) for _ in range(8)]
    assert [one.path for one in jobs.jobs(studies)] == [one.path for one in made]


def test_after_the_end_of_a_server_nothing_begins(studies, labels):
    left = Trainings(studies, lambda: labels, Settings(train_nice=0), lambda: 3)
    left.start(MODEL, {"model": MODEL})
    left.close()
    assert left.wait(60)
    left.go_on()  # a thread that was still on its way
    left.labelled(MODEL)
    assert left.current() is None and left.records()[0]["status"] == "SUBMITTED"


def test_a_training_begins_by_itself_after_enough_new_labels(studies, labels):
    now = labels[:2]
    trainings = Trainings(studies, lambda: now, Settings(train_nice=0), lambda: 3)
    trainings.labelled(MODEL)
    assert trainings.current() is None
    now = labels[:3]
    trainings.labelled(MODEL)
    first = trainings.current()
    assert first["request"] == {"model": MODEL, "automatic": True}
    now = labels[:5]
    let_go(studies, first["id"])
    assert trainings.wait(60)
    trainings.labelled(MODEL)
    assert trainings.current() is None  # two new ones are not three
    now = labels
    trainings.labelled(MODEL)
    assert trainings.current() is not None
    trainings.stop()


def test_labels_are_verified_when_a_job_begins_and_only_then(studies, labels):
    verified, revisions = [], [("image0", 1)]

    def verify():
        verified.append(True)
        return labels

    trainings = Trainings(studies, verify, Settings(train_nice=0), lambda: 2, revisions=lambda: revisions)
    trainings.labelled(MODEL)
    assert trainings.current() is None and not verified
    revisions.append(("image1", 1))
    trainings.labelled(MODEL)
    assert trainings.current() is not None and len(verified) == 2, "once to decide, once for the job"
    trainings.stop()


def test_no_label_and_impossible_settings_are_refused(studies, labels):
    with pytest.raises(RequestError, match="Label some images"):
        Trainings(studies, list, Settings()).start(MODEL, {"model": MODEL})
    with pytest.raises(RequestError, match="steps"):
        Trainings(studies, lambda: labels, Settings()).start(MODEL, {"model": MODEL, "steps": -1})
    assert fit_settings(MODEL, {"steps": 7, "client_id": "x"}).steps == 7
    assert fit_settings("sam2_mini", {}).trains == "decoder"
    assert fit_settings("uniultra_t", {}).trains == "method"
    assert jobs.jobs(studies) == []


def test_the_routes_speak_as_stock_does(studies, labels, tmp_path, monkeypatch):
    with serving(tmp_path, studies, monkeypatch, models=MODEL, train_after="0", preload="false") as client:
        from monailabel.interfaces.utils.app import app_instance

        app = app_instance()
        monkeypatch.setattr(app.trainings, "labels", lambda: labels)
        assert client.get("/train/").status_code == 404
        assert client.get("/train/", params={"check_if_running": True}).status_code == 404
        assert client.delete("/train/").json() is None
        assert client.post("/train/nobody").status_code == 404
        assert client.post(f"/train/{MODEL}", json={"bundle_path": "/etc"}).status_code == 422
        assert client.post(f"/train/{MODEL}", json={"rate": "much"}).status_code == 422
        answer = client.post(f"/train/{MODEL}", json={"steps": 9, "client_id": "x"})
        assert answer.status_code == 200
        first = answer.json()
        assert client.post(f"/train/{MODEL}").status_code == 429
        queued = client.post(f"/train/{MODEL}", params={"enqueue": True})
        assert queued.status_code == 200
        assert client.get("/train/", params={"check_if_running": True}).json()["id"] == first["id"]
        folder = jobs.JobFolder(studies / jobs.FOLDER / first["id"])
        assert folder.job().settings.steps == 9 and folder.job().request["steps"] == 9
        folder.tell(Progress(phase="fold-0", epoch=2, total_epochs=8, best_metric=0.5, total_time=61))
        told = client.get("/info/").json()
        assert told["trainers"][MODEL]["config"].keys() == {"steps", "rate"}
        stats = told["train_stats"][MODEL]
        assert stats["epoch"] == 2 and stats["total_epochs"] == 8 and stats["best_metric"] == 0.5
        assert "total_time" not in stats and stats["current_time"] == "0:01:01"
        assert told["adapters"] == {MODEL: {"adapter": None, "problem": None}}
        assert client.delete("/train/").json()["status"] == "STOPPED"
        assert [one["status"] for one in client.get("/train/", params={"all": True}).json()] == ["STOPPED"]
        folder.end(Ended(status="DONE", when=datetime.now(UTC), seconds=125.0))
        stats = client.get("/info/").json()["train_stats"][MODEL]
        assert stats["total_time"] == "0:02:05" and stats["published"] is None


def test_a_published_adapter_answers_over_http_and_is_named(studies, labels, tmp_path, monkeypatch):
    with serving(tmp_path, studies, monkeypatch, models=MODEL, train_after="0", preload="false") as client:
        click = {"foreground": [[40, 40, 0]], "background": [], "result": "packed"}
        assert infer(client, MODEL, "image0", **click).json()["adapter"] is None
        network, digest = loading.load(MODEL)
        with torch.no_grad():
            network.sam_mask_decoder.iou_token.weight.add_(1)
        bundle.save(tmp_path / "made", network, MODEL, over=(digest, (".sam_mask_decoder.",)))
        one = Published(studies).publish(tmp_path / "made")
        until(lambda: client.get("/info/").json()["adapters"][MODEL]["adapter"] == one)
        assert infer(client, MODEL, "image0", **click).json()["adapter"] == one
