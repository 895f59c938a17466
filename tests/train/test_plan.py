"""Trainings that build on each other."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from uniultra.errors import ModelError
from uniultra.train.plan import TrainingPlan, is_plan, run
from uniultra.train.provenance import trained_on
from uniultra.weights import tensors

COMMON = """
common: {datasets: {tiny: 1.0}, image_size: 32, batch: 2, targets: 1, validate_every: null, average: null}
"""
STAGES = """
stages:
  first: {model: sam2_mini, trains: all, steps: 2, seed: 1}
  second: {model: uniultra_mini, trains: all, steps: 1, start: first}
  taught: {model: uniultra_mini, trains: all, steps: 1, start: first, objective: guided,
    distill: {model: uniultra_mini, weights: second, image_size: 32}}
  apart: {model: sam2_mini, trains: all, steps: 1}
"""


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(COMMON + STAGES, encoding="utf-8")
    return path


def test_a_stage_starts_from_the_result_of_an_earlier_one(plan_file: Path) -> None:
    plan = TrainingPlan.read(plan_file)
    out = Path("out")
    assert plan.recipe("second", out).start == str(out / "first" / "sam2_mini.safetensors")
    taught = plan.recipe("taught", out)
    assert taught.distill is not None
    assert taught.distill["weights"] == str(out / "second" / "uniultra_mini.safetensors")
    assert plan.needs("taught") == ["first", "second", "taught"]


def test_only_what_a_stage_builds_on_is_run_and_once(
    plan_file: Path, training_data: Path, tmp_path: Path
) -> None:
    plan, output = TrainingPlan.read(plan_file), tmp_path / "out"
    found = run(plan, training_data, output, only="second")
    assert list(found) == ["first", "second"]
    assert "image_encoder.trunk.pos_embed" in load_file(found["second"])
    before = found["first"].stat().st_mtime_ns
    again = run(plan, training_data, output, only="taught")
    assert list(again) == ["first", "second", "taught"]
    assert again["first"].stat().st_mtime_ns == before


def test_a_plan_is_told_from_a_recipe(plan_file: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("model: sam2_mini\n", encoding="utf-8")
    assert is_plan(plan_file)
    assert not is_plan(recipe)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (COMMON, "stages"),
        (COMMON + "stages: {a/b: {model: sam2_mini, steps: 1}}", "a/b"),
        (COMMON + "stages: {one: {model: sam2_mini}}", "Stage one"),
    ],
)
def test_a_plan_that_cannot_be_used_is_refused(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=told):
        TrainingPlan.read(path)


def test_an_unknown_stage_is_refused(plan_file: Path, training_data: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Unknown stage"):
        run(TrainingPlan.read(plan_file), training_data, tmp_path / "out", only="nothing")


def test_weights_say_what_they_and_their_ancestors_were_trained_on(
    plan_file: Path, training_data: Path, tmp_path: Path
) -> None:
    text = plan_file.read_text(encoding="utf-8").replace(
        "start: first}", "start: first, datasets: {organ: 1}}"
    )
    plan_file.write_text(text.replace("start: first, datasets", "holdout: 0.5, start: first, datasets"))
    found = run(TrainingPlan.read(plan_file), training_data, tmp_path / "out", only="taught")
    assert trained_on(found["first"]) == ("tiny",)
    assert trained_on(found["second"]) == ("organ", "tiny")
    assert trained_on(found["taught"]) == ("organ", "tiny"), "what its teacher saw, it has seen"
    assert str(tmp_path) not in str(tensors.metadata(found["taught"]))
