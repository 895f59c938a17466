"""A training lowers the loss, keeps what is frozen, stops when it should and goes on exactly."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
import yaml

from uniultra.datasets.samples import synthetic_sample
from uniultra.errors import ModelError
from uniultra.models import build, entry
from uniultra.train import checkpoint
from uniultra.train.distributed import World
from uniultra.train.initial_network import starting_network
from uniultra.train.loop import Loop
from uniultra.train.objective import objective
from uniultra.train.trainer import Trainer
from uniultra.weights import bundle, loading, tensors


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A folder of weights with a base network that nobody trained."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(5)
    tensors.save(folder / "sam2_mini.safetensors", build("sam2_mini"), {})
    return folder


def test_a_training_lowers_the_loss_and_its_weights_load(small, training_data, tmp_path, monkeypatch):
    monkeypatch.setattr("uniultra.train.loop.NOTE_EVERY", 1)
    recipe = small(steps=30, batch=4, augment=False, average=0.9, target="whole", precision="fp32")
    path = Trainer(recipe, training_data, tmp_path).run()
    losses = [line["loss"] for line in log_of(tmp_path)]
    assert len(losses) == 30 and sum(losses[-5:]) / 5 < 0.7 * losses[0], losses
    loading.load_into(build("uniultra_mini", 64), tensors.read(path))
    told = json.loads((tmp_path / "result.json").read_text())
    assert (told["steps"], told["images"], told["ended"]) == (30, 120, "steps") and told["seconds"] > 0
    assert told["recipe"]["average"] == 0.9
    assert json.loads((tmp_path / "split.json").read_text())["train"]["tiny"] == list("0123")


def test_a_killed_training_goes_on_to_the_same_bits(small, training_data, tmp_path, one_thread):
    recipe = small(steps=9, synthetic=0.5, scenes=2, checkpoint_every=3, average=0.8, prompts="corrected")
    whole = Trainer(recipe, training_data, tmp_path / "whole").run()
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    command = [
        sys.executable,
        "-m",
        "uniultra.cli",
        "train",
        str(tmp_path / "recipe.yaml"),
        "--device",
        "cpu",
    ]
    command += ["--data", str(training_data), "--output", str(tmp_path / "cut")]
    with subprocess.Popen(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL
    ) as child:
        deadline = time.monotonic() + 120
        while not (tmp_path / "cut" / checkpoint.LAST).exists():
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        child.kill()
    kept = checkpoint.read(tmp_path / "cut")
    assert 3 <= kept["step"] < 9 and not (tmp_path / "cut" / "result.json").exists()
    again = Trainer(recipe, training_data, tmp_path / "cut").run()
    first, second = checkpoint.read(whole.parent), checkpoint.read(again.parent)
    for part in ("model", "average"):
        for name, value in first[part].items():
            assert torch.equal(value, second[part][name]), name
    for name, value in tensors.read(whole).items():
        assert torch.equal(value, tensors.read(again)[name]), name


def test_being_told_to_stop_keeps_the_last_step(small, training_data, tmp_path, monkeypatch):
    step = Loop._step

    def interrupted(self, engine, batch):
        if engine.state.iteration == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, engine, batch)

    monkeypatch.setattr(Loop, "_step", interrupted)
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        Trainer(small(), training_data, tmp_path).run()
    assert ended.value.code == 128 + signal.SIGTERM and signal.getsignal(signal.SIGTERM) is handler
    assert checkpoint.read(tmp_path)["step"] == 3 and not (tmp_path / "result.json").exists()
    monkeypatch.undo()
    Trainer(small(), training_data, tmp_path).run()
    assert json.loads((tmp_path / "result.json").read_text())["steps"] == 6


def test_what_is_frozen_stays_to_the_bit_and_a_bundle_holds_the_rest(
    small, training_data, tmp_path, base, monkeypatch
):
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(base))
    recipe = small(model="lora_mini", start="sam2_mini", steps=4, average=None)
    folder = Trainer(recipe, training_data, tmp_path).run()
    assert folder == tmp_path / "lora_mini" and folder.is_dir()
    network, _ = loading.assemble(folder, 64)
    before = starting_network(recipe).state_dict()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    adapted = set(bundle.trained_tensors("lora_mini", network))
    assert changed <= adapted and any(".lora." in name for name in changed)
    assert set(tensors.read(folder / bundle.WEIGHTS)) == adapted
    _, manifest = bundle.describe(folder)
    assert manifest.data["images"] == 8 and manifest.data["recipe"]["start"] == "sam2_mini"
    further = recipe.model_copy(update={"start": str(folder)})
    second = Trainer(further, training_data, tmp_path / "further").run()
    assert bundle.describe(second)[1].parent == manifest.weights_sha256


def test_a_checkpoint_on_another_base_is_refused(small, training_data, tmp_path, base, monkeypatch):
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(base))
    recipe = small(model="lora_mini", start="sam2_mini", steps=1)
    Trainer(recipe, training_data, tmp_path / "out").run()
    torch.manual_seed(6)
    tensors.save(tmp_path / "sam2_mini.safetensors", build("sam2_mini"), {})
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tmp_path))
    with pytest.raises(ModelError, match="base"):
        Trainer(recipe.model_copy(update={"steps": 2}), training_data, tmp_path / "out").run()


def test_a_training_without_progress_ends_with_its_best(small, training_data, tmp_path, monkeypatch):
    scores = iter([0.3, 0.6, 0.5, 0.4, 0.9])
    found = []

    def score(self, batch):
        found.append({n: p.detach().clone() for n, p in self.named_parameters()})
        return torch.full((len(batch.masks),), next(scores))

    monkeypatch.setattr("uniultra.train.objective.PromptObjective.score", score)
    recipe = small(steps=50, validate_every=2, patience=2)
    path = Trainer(recipe, training_data, tmp_path).run()
    told = json.loads((tmp_path / "result.json").read_text())
    assert told["ended"] == "patience" and told["steps"] == 8
    assert told["score"] == pytest.approx(0.6)
    best = tensors.read(path)
    for name, value in best.items():
        if f"network.{name}" in found[1]:
            assert torch.equal(value, found[1][f"network.{name}"].half()), name
    assert any(not torch.equal(best[n.removeprefix("network.")], v.half()) for n, v in found[3].items())
    assert Trainer(recipe, training_data, tmp_path).run() == path, "an ended run is not gone on with"
    assert next(scores) == 0.9
    with pytest.raises(ModelError, match="validate on"):
        Trainer(
            small(validate_every=1, patience=1, splits={"val": "none"}), training_data, tmp_path / "b"
        ).run()


def test_the_clock_ends_a_training(small, training_data, tmp_path):
    recipe = small(steps=10_000, wall_clock_s=1.0, optimizer={"rate": 1e-3})
    Trainer(recipe, training_data, tmp_path).run()
    told = json.loads((tmp_path / "result.json").read_text())
    assert told["ended"] == "wall_clock" and 1 <= told["seconds"] < 20 and 1 <= told["steps"] < 10_000
    Trainer(recipe, training_data, tmp_path).run()
    assert json.loads((tmp_path / "result.json").read_text())["steps"] == told["steps"]


def test_another_run_in_the_folder_is_refused_and_a_longer_one_goes_on(
    small, training_data, tmp_path, caplog
):
    Trainer(small(steps=2), training_data, tmp_path).run()
    with pytest.raises(ModelError, match="seed"):
        Trainer(small(steps=2, seed=2), training_data, tmp_path).run()
    Trainer(small(steps=3), training_data, tmp_path).run()
    assert "another steps" in caplog.text
    assert checkpoint.read(tmp_path)["step"] == 3


def test_a_damaged_checkpoint_falls_back_to_the_one_before(small, training_data, tmp_path):
    Trainer(small(steps=4, checkpoint_every=2), training_data, tmp_path).run()
    (tmp_path / checkpoint.LAST).write_bytes(b"PK\x03\x04 cut off")
    assert checkpoint.read(tmp_path)["step"] == 2
    (tmp_path / checkpoint.BEFORE).write_bytes(b"")
    with pytest.raises(ModelError, match="damaged"):
        Trainer(small(steps=4), training_data, tmp_path).run()


def test_a_hostile_checkpoint_is_not_run(tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({"step": Hostile()}, tmp_path / checkpoint.LAST)
    with pytest.raises(ModelError):
        checkpoint.read(tmp_path)
    assert not (tmp_path / "owned").exists()


def test_a_loss_that_is_no_number_is_not_kept(small, training_data, tmp_path):
    Trainer(small(steps=2, checkpoint_every=2), training_data, tmp_path).run()
    with pytest.raises(ModelError, match="not a number"):
        Trainer(small(steps=4, optimizer={"rate": 1e30}, clip=None), training_data, tmp_path).run()
    kept = checkpoint.read(tmp_path)
    assert kept["step"] == 2 and all(bool(v.isfinite().all()) for v in kept["model"].values())


@pytest.mark.parametrize("track", ["tensorboard", pytest.param("mlflow", marks=pytest.mark.slow)])
def test_curves_are_written_into_the_folder(small, training_data, tmp_path, track, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    recipe = small(steps=10, track=track, validate_every=10, precision="bf16", checkpointing=True)
    Trainer(recipe, training_data, tmp_path).run()
    last = [line for line in log_of(tmp_path) if "loss" in line][-1]
    score = [line["score"] for line in log_of(tmp_path) if "score" in line][-1]
    if track == "tensorboard":
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
        written = {name: events.Scalars(name)[-1].value for name in ("loss", "score")}
    else:
        from mlflow import MlflowClient

        client = MlflowClient(f"sqlite:///{tmp_path / 'mlruns.db'}")
        [run] = client.search_runs([e.experiment_id for e in client.search_experiments()])
        assert run.info.status == "FINISHED"
        written = run.data.metrics
    assert written["loss"] == pytest.approx(last["loss"], abs=1e-4)
    assert written["score"] == pytest.approx(score, abs=1e-4)


def test_networks_without_prompts_learn_whole_masks(small, training_data, tmp_path):
    recipe = small(model="autosamus_mini", objective="auto", target="whole", loss="samus", steps=2)
    Trainer(recipe, training_data, tmp_path).run()
    first, last = starting_network(recipe).state_dict(), checkpoint.read(tmp_path)["model"]
    changed = {n for n, v in last.items() if not torch.equal(v, first[n.removeprefix("network.")])}
    assert changed and all(".apg." in name for name in changed)


def test_bf16_stores_full_precision(small, tmp_path):
    recipe = small(precision="bf16", target="component")
    goal = objective(starting_network(recipe), entry("uniultra_mini"), recipe)
    loop = Loop(goal, recipe, World(0, 1, torch.device("cpu")), tmp_path, [])
    loop.run([replace(synthetic_sample(64, n), dataset="tiny") for n in range(2)])
    kept = checkpoint.read(tmp_path)
    assert {v.dtype for v in kept["model"].values()} == {torch.float32}


def test_deterministic_algorithms_are_asked_for_and_given_back(small, training_data, tmp_path, monkeypatch):
    asked = []
    step = Loop._step

    def watched(self, engine, batch):
        asked.append(torch.are_deterministic_algorithms_enabled())
        return step(self, engine, batch)

    monkeypatch.setattr(Loop, "_step", watched)
    Trainer(small(steps=2, deterministic=True), training_data, tmp_path).run()
    assert asked == [True, True] and not torch.are_deterministic_algorithms_enabled()


def test_processes_that_draw_batches_ahead_change_nothing(small, training_data, tmp_path):
    first, second = (Trainer(small(), training_data, tmp_path / str(n), workers=n).run() for n in (0, 2))
    other = tensors.read(second)
    assert all(torch.equal(value, other[name]) for name, value in tensors.read(first).items())
