"""A job from its labels to a published bundle, also when its process is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from adapting_parts import TINY, make_campaign

from uniultra.adapters import bundle
from uniultra.adapters.published import Published
from uniultra.learn.adapting import process
from uniultra.learn.adapting.job import JobFolder, create, jobs
from uniultra.models import build, weights

SETTINGS = TINY.model_copy(update={"steps": 12, "rate": 3e-3})


@pytest.fixture
def campaign(tmp_path, monkeypatch, one_thread):
    """A studies folder with labels, and random weights of a small input in the user's folder."""
    torch.manual_seed(3)
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tmp_path / "weights"))
    weights.save(tmp_path / "weights" / "uniultra_mini.safetensors", build("uniultra_mini", 64), {})
    studies = tmp_path / "studies"
    return studies, make_campaign(studies, 6)


def new_job(studies: Path, labels, **changes) -> JobFolder:
    values = {"folds": 2, "scenes": 1, "nice": 0, "device": "cpu", "seed": 5}
    return create(studies, "uniultra_mini", labels, SETTINGS, **{**values, **changes})


def killed(folder: JobFolder, when) -> int:
    """Start the job's process, kill it when `when()` says so; how often it was killed."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "uniultra.learn.adapting.process", str(folder.path)]
    command += ["--parent", str(os.getpid())]
    with subprocess.Popen(command, env=environment) as running:
        while running.poll() is None:
            if when():
                running.send_signal(signal.SIGKILL)
                running.wait()
                return 1
            time.sleep(0.02)
    return 0


def test_a_killed_job_goes_on_to_the_same_weights(campaign):
    studies, labels = campaign
    straight, cut = new_job(studies, labels), new_job(studies, labels)
    assert process.main([str(straight.path)]) == 0
    ended = straight.ended()
    assert ended.status == "DONE" and ended.verdict.n == 6, ended

    def after(text: str):
        return lambda: (cut.path / text).exists()

    # In the first fold once a checkpoint is there, in the second, and in the final training.
    kills = sum(killed(cut, after(file)) for file in ("fold-0/last.pt", "fold-1/log.jsonl"))
    assert kills == 2 and cut.ended() is None
    assert process.main([str(cut.path)]) == 0
    again = cut.ended()
    assert again.verdict.model_dump(exclude={"old"}) == ended.verdict.model_dump(exclude={"old"})
    for fold in (0, 1):
        one, other = (
            json.loads((f.path / f"fold-{fold}" / "scores.json").read_text()) for f in (straight, cut)
        )
        assert one == other
    published = Published(studies)
    first, second = (
        bundle.describe(published.path(e.adapter) if e.adapter else f.path / "bundle")[1].weights_sha256
        for e, f in ((ended, straight), (again, cut))
    )
    assert first == second


def test_a_damaged_label_is_left_out_and_named(campaign):
    studies, labels = campaign
    file = studies / labels[2].file
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    (studies / labels[4].file).unlink()
    job = new_job(studies, labels)
    assert process.main([str(job.path)]) == 0
    ended = job.ended()
    assert [one["image"] for one in ended.left_out] == ["image2", "image4"]
    assert "SHA-256" in ended.left_out[0]["reason"] and str(studies) not in ended.left_out[0]["reason"]
    assert ended.verdict.n == 4


def test_nothing_to_learn_or_other_weights_end_the_job_with_a_reason(campaign, tmp_path):
    studies, labels = campaign
    job = new_job(studies, labels)
    for label in labels:
        (studies / label.file).unlink()
    process.main([str(job.path)])
    assert job.ended().status == "ERROR" and "structure" in job.ended().error
    other = new_job(studies, labels)
    weights.save(tmp_path / "weights" / "uniultra_mini.safetensors", build("uniultra_mini", 64), {})
    process.main([str(other.path)])
    assert "replaced" in other.ended().error
    assert Published(studies).current("uniultra_mini") is None
    assert [one.path for one in jobs(studies)] == sorted([job.path, other.path])


def test_an_ended_job_is_not_done_again_and_two_processes_never_work_on_one(campaign, monkeypatch):
    studies, labels = campaign
    job = new_job(studies, labels)
    monkeypatch.setattr(process, "WAIT", 0.1)
    with job.lock():
        assert job.busy and process.main([str(job.path)]) == process.BUSY
    assert not job.busy
    monkeypatch.setattr(process, "work", lambda *_: pytest.fail("worked on"))
    (job.path / "ended.json").write_text('{"status": "DONE", "when": "2026-01-01T00:00:00Z"}')
    assert process.main([str(job.path)]) == 0


def test_a_training_ends_with_whoever_started_it(campaign):
    studies, labels = campaign
    folder = new_job(studies, labels)
    starter = """
import os, subprocess, sys
command = [sys.executable, "-m", "uniultra.learn.adapting.process", sys.argv[1], "--parent", str(os.getpid())]
child = subprocess.Popen(command)
print(child.pid, flush=True)
child.wait()
"""
    with folder.lock():  # so that it waits, and no step of a training looks around
        parent = subprocess.Popen(
            [sys.executable, "-c", starter, str(folder.path)], stdout=subprocess.PIPE, text=True
        )
        child = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        end = time.monotonic() + 50  # it would wait for the lock for a minute
        while _runs(child):
            assert time.monotonic() < end, "it goes on without its parent"
            time.sleep(0.1)
    assert folder.ended() is None


def _runs(number):
    try:
        os.kill(number, 0)
        # who has nobody to take its status is dead all the same
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
