"""A job from its labels to a published bundle, also when its process is killed."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import itk
import numpy as np
import pytest
import torch
from adapting_parts import TINY, make_campaign
from factories import training_label
from PIL import Image

from uniultra.adapt import process
from uniultra.adapt.job import JobFolder, create, jobs
from uniultra.adapt.run import AdaptationRun, keyed_targets
from uniultra.adapt.scoring import scene_cases, scores
from uniultra.adapt.training_labels import read_labels
from uniultra.images import read_image, write_mask
from uniultra.models import build, entry
from uniultra.weights import bundle, loading, tensors
from uniultra.weights.deployed import Published

SETTINGS = TINY.model_copy(update={"steps": 12, "rate": 3e-3})
MODEL = "uniultra_mini"


@pytest.fixture
def campaign(tmp_path, monkeypatch, one_thread):
    """A studies folder with labels, and random weights of a small input in the user's folder."""
    torch.manual_seed(3)
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tmp_path / "weights"))
    tensors.save(tmp_path / "weights" / "uniultra_mini.safetensors", build("uniultra_mini", 64), {})
    studies = tmp_path / "studies"
    return studies, make_campaign(studies, 6)


def new_job(studies: Path, labels, **changes) -> JobFolder:
    values = {"settings": SETTINGS, "folds": 2, "scenes": 1, "nice": 0, "device": "cpu", "seed": 5}
    return create(studies, MODEL, labels, **{**values, **changes})


def killed(folder: JobFolder, when) -> int:
    """Start the job's process, kill it when `when()` says so; how often it was killed."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "uniultra.adapt.process", str(folder.path)]
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
    published = Published(studies)
    published.rollback(MODEL, own=True)  # so that both are measured against the same

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
    first, second = (bundle.describe(published.path(e.adapter))[1].weights_sha256 for e in (ended, again))
    assert first == second


@pytest.mark.parametrize("phase", ["fold-1", "final"])
def test_an_adapter_chosen_while_a_job_works_is_to_be_beaten(campaign, tmp_path, phase):
    studies, labels = campaign
    job, published = new_job(studies, labels[:4]), Published(studies)
    network, digest = loading.load(MODEL)
    with torch.no_grad():
        network.sam_mask_decoder.iou_token.weight.add_(1)
    keys = keyed_targets(read_labels(studies, labels), labels)
    perfect = {"unseen": {key: [1.0, 1.0] for key in keys}}
    bundle.save(tmp_path / "rival", network, MODEL, data=perfect, over=(digest, (".sam_mask_decoder.",)))

    def chosen():
        if (job.path / phase).is_dir() and published.current(MODEL) is None:
            published.publish(tmp_path / "rival", what="imported")

    ended = AdaptationRun(job, chosen).run()
    assert [change.what for change in published.read().history] == ["imported"]
    assert ended.adapter is None and not ended.verdict.publish and ended.verdict.now.click == 1
    assert "not better" in ended.verdict.why


def test_what_answers_now_is_not_measured_on_what_it_was_shown(campaign, tmp_path):
    """Nor does what it tells of another image of the same name count."""
    studies, labels = campaign
    shown, told, *others = labels[:5]
    published, (network, digest) = Published(studies), loading.load(MODEL)
    corrected = shown.model_copy(update={"revision": shown.revision + 1})
    asked = [corrected, told, *others]
    rows = keyed_targets(read_labels(studies, asked), asked)
    foreign = told.model_copy(update={"sha256": "f" * 64})
    own, theirs = (
        {key: [1.0, 1.0] for key in keyed_targets(read_labels(studies, [told]), [one])}
        for one in (told, foreign)
    )

    def now(**data):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        bundle.save(folder, network, MODEL, data=data, over=(digest, (".sam_mask_decoder.",)))
        run = AdaptationRun(new_job(studies, asked))
        run.against = published.publish(folder, what="imported")
        network.sam_mask_decoder.iou_token.weight.data.add_(0.01)  # each bundle is another one
        return run.scores_in_service(rows)

    learnt = [f"{one.image}@{one.revision}" for one in (shown, told)]
    found = now(labels=learnt, unseen=own)
    assert {rows[key][1].group for key in found} == {one.group for one in (told, *others)}
    assert [key for key, one in found.items() if one == (1.0, 1.0)] == list(own)
    assert now(unseen=theirs).keys() == rows.keys() and (1.0, 1.0) not in now(unseen=theirs).values()
    everyone = [f"{one.image}@{one.revision}" for one in asked]
    assert now(labels=everyone).keys() == rows.keys()  # nobody else is left to ask about


def test_what_forgets_too_much_is_brought_back_until_it_does_not(campaign):
    studies, labels = campaign
    published = Published(studies)
    shipped = loading.load_file(MODEL, loading.shipped_folder() / "uniultra_mini.safetensors", 128)
    tensors.save(studies.parent / "weights" / "uniultra_mini.safetensors", shipped, {})
    settings = {"steps": 8, "rate": 1e-4, "keep": 0.0, "share": 1.0}  # it knows scenes, and forgets fast

    def ended(*retreats: float):
        changed = SETTINGS.model_copy(update={**settings, "retreats": retreats})
        return AdaptationRun(new_job(studies, labels[:4], settings=changed, scenes=2)).run()

    far = ended()
    assert far.adapter is None and far.verdict.share == 1.0 and far.verdict.forgets and far.verdict.gain > 0
    assert "lost" in far.verdict.why and not published.ids()
    near = ended(0.4, 0.1, 0.02)
    assert near.adapter is not None and near.verdict.share < 1 and not near.verdict.forgets
    assert 0 < near.verdict.gain != far.verdict.gain
    # what was published is what was measured
    answers = loading.assemble(published.path(near.adapter))[0]
    again = scores(answers, entry(MODEL), scene_cases(128, 2)).mean(0)
    assert again == pytest.approx([near.verdict.old[0].after.click, near.verdict.old[0].after.box], abs=1e-3)


def test_a_job_cut_off_after_it_published_publishes_no_second_time(campaign):
    studies, labels = campaign
    job, published = new_job(studies, labels[:4]), Published(studies)
    ended = AdaptationRun(job).run()  # and is killed before it says how it ended
    assert ended.adapter is not None and (job.path / "final" / "last.pt").is_file() and job.ended() is None
    published.rollback(MODEL)
    assert process.main([str(job.path)]) == 0
    again = job.ended()
    assert (again.adapter, again.verdict) == (ended.adapter, ended.verdict)
    assert published.current(MODEL) is None and published.ids() == [ended.adapter]
    assert not list(job.path.glob("*/*.pt")) and not (job.path / "bundle").exists()
    assert (job.path / "fold-0" / "scores.json").is_file()


@pytest.mark.parametrize("text", ["{", '{"status": "DONE", "when": "2026-01-01T00:00:00Z", "newer": 1}'])
def test_a_job_whose_end_cannot_be_read_has_ended(campaign, monkeypatch, text):
    studies, labels = campaign
    job = new_job(studies, labels)
    monkeypatch.setattr(process, "work", lambda *_: pytest.fail("worked on"))
    (job.path / "ended.json").write_text(text)
    assert process.main([str(job.path)]) == 0
    assert job.ended().status == "ERROR" and "ended.json" in job.ended().error


def test_a_structure_keeps_its_key_when_a_newer_label_takes_a_frame_over(tmp_path):
    cine = itk.image_from_array(np.random.default_rng(0).integers(0, 255, (4, 60, 80), np.uint8))
    itk.imwrite(cine, str(tmp_path / "cine.seq.nrrd"))
    image = read_image(tmp_path / "cine.seq.nrrd")
    marked = np.zeros((4, 60, 80), np.uint8)
    for frame in range(3):
        marked[frame, 10:30, 10 + 10 * frame : 40 + 10 * frame] = 1
    write_mask(marked, image, tmp_path / "mask.seq.nrrd")

    def middles(*frames):
        label = training_label(tmp_path, "cine.seq.nrrd", "mask.seq.nrrd", frames=frames, names={1: "target"})
        rows = keyed_targets(read_labels(tmp_path, [label]), [label])
        return {key: case.click.x for key, (_, case) in rows.items()}

    before, after = middles(0, 1, 2), middles(1, 2)
    assert len(before) == 3 and len(after) == 2
    assert after.items() <= before.items()


def test_a_label_of_other_values_is_left_out_and_not_learnt_as_empty(tmp_path):
    labels = make_campaign(tmp_path / "studies", 2)
    file = tmp_path / "studies" / labels[0].file
    Image.fromarray(np.asarray(Image.open(file)) * np.uint8(255 // 3)).save(file)
    changed = labels[0].model_copy(update={"sha256": hashlib.sha256(file.read_bytes()).hexdigest()})
    found = read_labels(tmp_path / "studies", [changed, labels[1]])
    assert found.label == ("image1@1",) and found.frame == (0,)
    assert [one.image for one in found.left_out] == ["image0"] and "values" in found.left_out[0].reason
    empty = np.zeros_like(np.asarray(Image.open(file)))
    Image.fromarray(empty).save(file)
    changed = labels[0].model_copy(update={"sha256": hashlib.sha256(file.read_bytes()).hexdigest()})
    assert len(read_labels(tmp_path / "studies", [changed]).labelled) == 1, "nothing marked is a label too"


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
    tensors.save(tmp_path / "weights" / "uniultra_mini.safetensors", build("uniultra_mini", 64), {})
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
command = [sys.executable, "-m", "uniultra.adapt.process", sys.argv[1], "--parent", str(os.getpid())]
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
