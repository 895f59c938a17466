"""A distillation from end to end: both stages, exactly resumable, on generated pictures."""

import csv
import json
import os
import signal

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from uniultra.cli.main import main
from uniultra.errors import ModelError
from uniultra.models import build
from uniultra.synthesis.scene import scene
from uniultra.train import objective
from uniultra.train.distill_run import DistillRecipe, distill
from uniultra.train.distillation.distill import DistillObjective
from uniultra.weights import loading, tensors

SIDE = 64
STAGE = {
    "datasets": {"tiny": 1},
    "steps": 4,
    "batch": 2,
    "targets": 1,
    "image_size": SIDE,
    "validate_every": None,
    "average": None,
    "optimizer": {"rate": 1e-3},
}
RECIPE = {
    "student": "uniultra_mini",
    "teacher": {"model": "uniultra_mini"},
    "transfer": STAGE,
    "finetune": STAGE,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data set of generated pictures in the layout of a manifest."""
    folder = tmp_path_factory.mktemp("data")
    lines = []
    for n in range(4):
        drawn = scene(np.random.default_rng(100 + n), SIDE)
        Image.fromarray(drawn.picture).save(folder / f"{n}.png")
        Image.fromarray(drawn.targets[:2].any(0)).save(folder / f"{n}_mask.png")
        lines.append(
            {"dataset": "tiny", "id": n, "split": "train", "image": f"{n}.png", "mask": f"{n}_mask.png"}
        )
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """Weights of a teacher whose adapters have left zero."""
    torch.manual_seed(7)
    network = build("uniultra_mini", SIDE)
    for name, parameter in network.named_parameters():
        if ".ch_adapters." in name:
            torch.nn.init.normal_(parameter, std=0.1)
    path = tmp_path_factory.mktemp("teacher") / "uniultra_mini.safetensors"
    tensors.save(path, network, {}, torch.float32)
    return path


def recipe_of(teacher, **changes):
    values = {**RECIPE, "teacher": {"model": "uniultra_mini", "weights": str(teacher)}, **changes}
    return DistillRecipe.model_validate(values)


def stop_after(monkeypatch, kind, steps):
    """Let the process be told to stop in a training step, as `kill` does."""
    forward, done = kind.forward, []

    def counted(self, *given):
        done.append(1)
        if len(done) == steps:
            os.kill(os.getpid(), signal.SIGTERM)
        return forward(self, *given)

    monkeypatch.setattr(kind, "forward", counted)


@pytest.fixture(scope="module")
def finished(data, teacher, tmp_path_factory):
    """The output folder of a run that nothing interrupted, and its result."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, distill(recipe_of(teacher), data, folder)


def test_both_stages_go_on_exactly_where_they_were_stopped(data, teacher, finished, tmp_path, monkeypatch):
    recipe = recipe_of(teacher)
    for kind in (DistillObjective, objective.PromptObjective):
        with monkeypatch.context() as patch:
            stop_after(patch, kind, 2)
            with pytest.raises(SystemExit):
                distill(recipe, data, tmp_path)
    whole, again = tensors.read(finished[1]), tensors.read(distill(recipe, data, tmp_path))
    assert whole.keys() == again.keys()
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_the_first_stage_changes_the_encoder_alone_and_the_decoder_is_the_teachers(teacher, finished):
    folder, made = finished
    student, taught = tensors.read(folder / "handover" / made.name), tensors.read(teacher)
    for name, value in student.items():
        assert torch.equal(value, taught[name]) == (not name.startswith("image_encoder.")), name
    lines = [json.loads(line) for line in (folder / "transfer" / "log.jsonl").read_text().splitlines()]
    assert {"loss", "whole", "block", "adapter"} <= set(lines[-1])


def test_the_last_stage_trains_everything_and_its_result_is_a_model(finished):
    folder, made = finished
    before, after = tensors.read(folder / "handover" / made.name), tensors.read(made)
    moved = {name.split(".")[0] for name in after if not torch.equal(before[name].half(), after[name].half())}
    assert {"image_encoder", "sam_mask_decoder", "sam_prompt_encoder"} <= moved
    assert loading.load_file("uniultra_mini", made, SIDE).image_size == SIDE


def test_fine_tuning_goes_on_only_with_the_student_it_began_with(data, teacher, finished):
    longer = recipe_of(teacher, transfer={**STAGE, "steps": 5})
    with pytest.raises(ModelError, match="another student"):
        distill(longer, data, finished[0])


def test_an_adapter_is_tuned_on_the_distilled_base_and_the_result_is_whole(data, tmp_path):
    """LG-MedSeg's way: distil the base, then train the adapters of another entry that stands on it."""
    torch.manual_seed(3)
    path = tmp_path / "mobile_sam.safetensors"
    tensors.save(path, build("mobile_sam", SIDE), {}, torch.float32)
    few = STAGE | {"steps": 1}
    recipe = DistillRecipe(
        student="mobile_sam",
        teacher={"model": "mobile_sam", "weights": str(path)},
        transfer=few,
        finetune=few | {"model": "lgmedseg", "trains": "method"},
    )
    made = distill(recipe, data, tmp_path / "out")
    base = tensors.read(recipe.handover(tmp_path / "out"))
    tuned = loading.load_file("lgmedseg", made, SIDE).state_dict()
    added = {name for name in tuned if name not in base}
    assert added and all(".lr_adapters." in name for name in added)
    assert any(tuned[name].any() for name in added if "up" in name)
    assert all(torch.equal(tuned[name], value) for name, value in base.items())


def test_the_command_reads_a_recipe_with_changes(data, teacher, tmp_path, capsys):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    called = ["distill", str(path), "--data", str(data), "--output", str(tmp_path / "out"), "--device", "cpu"]
    called += [
        "--set",
        f"teacher.weights={teacher}",
        "--set",
        "transfer.steps=1",
        "--set",
        "finetune.steps=1",
    ]
    assert main(called) == 0
    assert "finetune/uniultra_mini.safetensors" in capsys.readouterr().out
    assert main([*called, "--set", "transfer.model=sam2_t"]) == 2
    assert "transfer has no setting model" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes",
    [
        {"surprise": 1},
        {"teacher": {}},
        {"student": "unet"},
        {"teacher": {"model": "unet"}},
        {"transfer": {"datasets": {"tiny": 1}}},
        {"finetune": {**STAGE, "start": "elsewhere"}},
        {"finetune": {**STAGE, "nonsense": 1}},
    ],
)
def test_recipes_that_cannot_be_used_are_refused_before_anything_runs(tmp_path, changes):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, **changes}))
    with pytest.raises(ModelError, match="cannot be used"):
        DistillRecipe.read(path)


def test_shipped_recipes_are_read(project_root):
    paths = sorted((project_root / "training").glob("distill_*.yaml"))
    assert paths
    for path in paths:
        recipe = DistillRecipe.read(path)
        assert recipe.first().objective == "distill" and recipe.last(path.parent).start
