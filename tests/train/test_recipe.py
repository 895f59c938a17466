"""A recipe says what a training does, and refuses what it cannot."""

import math
from pathlib import Path

import pytest

from uniultra.errors import ModelError
from uniultra.models import entry
from uniultra.train.batches import protocol_of
from uniultra.train.initial_network import adapter_config, trained_fragments
from uniultra.train.objective import loss_of
from uniultra.train.objectives import OBJECTIVES
from uniultra.train.plan import TrainingPlan, is_plan
from uniultra.train.recipe import OptimizerSettings, Recipe

GOOD = "model: uniultra_mini\ndatasets: {tiny: 1}\nsteps: 100\nbatch: 4\n"


def read(tmp_path, text, *changes):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return Recipe.read(path, changes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a", "setting: value"),
        ("a: [", "not YAML"),
        (GOOD + "surprise: 1", "surprise"),
        ("model: x\nsteps: 3", "datasets"),
        ("model: x\ndatasets: {}\nsteps: 3", "datasets"),
        ("model: x\ndatasets: {a: 1}", "images or steps"),
        (GOOD + "synthetic: 0.5\nscenes: 0", "scenes"),
        (GOOD + "holdout: 1.5", "holdout"),
        (GOOD + "optimizer: {rate: -1}", r"optimizer\.rate"),
        (GOOD + "optimizer: {momentum: 1}", r"optimizer\.momentum"),
        (GOOD + "precision: fp8", "precision"),
        (GOOD + "objective: auto", "whole"),
        (GOOD + "target: whole\npseudo: true", "pseudo"),
        (GOOD + "patience: 3\nvalidate_every: null", "validate_every"),
        (GOOD + "augment: {turn: -4}", "turn"),
        (GOOD + "seed: -1", "seed"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_refused_by_name(tmp_path, text, said):
    with pytest.raises(ModelError, match=said) as refused:
        read(tmp_path, text)
    assert str(tmp_path) not in str(refused.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        Recipe.read(tmp_path / "none.yaml")


def test_settings_are_changed_from_outside(tmp_path):
    changes = ["steps=7", "optimizer.rate=1e-4", "trains=[.ch_adapters.]", "patience=2", "augment=false"]
    recipe = read(tmp_path, GOOD, *changes)
    assert recipe.length == 7 and recipe.optimizer.rate == 1e-4 and recipe.batch == 4
    assert recipe.trains == (".ch_adapters.",) and recipe.patience == 2 and recipe.augment is False
    for wrong in ("steps", "=4", "steps=[", "stepz=4"):
        with pytest.raises(ModelError):
            read(tmp_path, GOOD, wrong)


def test_the_shorter_budget_is_the_length(tmp_path):
    assert read(tmp_path, GOOD, "images=41").length == math.ceil(41 / 4)
    assert read(tmp_path, GOOD, "images=4000").length == 100


def test_rates_follow_their_schedule():
    def rates(**settings):
        return [OptimizerSettings(rate=1.0, **settings).rate_at(n, 100) for n in range(100)]

    assert rates(schedule="constant", warmup=4)[:5] == [0.25, 0.5, 0.75, 1, 1]
    linear = rates(schedule="linear", tail=0.4, floor=0.1)
    assert linear[60] == 1 and linear[80] == pytest.approx(0.5) and linear[99] == 0.1
    cosine = rates(schedule="cosine", floor=0.0)
    assert cosine[0] == 1 and cosine[50] == pytest.approx(0.5) and cosine[99] < 0.001
    # UniUltra's: a factor of 0.98 per epoch over 50 epochs.
    exponential = rates(schedule="exponential", floor=0.98**50)
    assert exponential[2] == pytest.approx(0.98) and exponential[50] == pytest.approx(0.98**25)


def test_shipped_recipes_and_plans_can_be_used(project_root):
    paths = [
        p
        for p in (project_root / "training").glob("*.yaml")
        if p.stem.split("_")[0] not in ("suite", "distill")
    ]
    plans = [path for path in paths if is_plan(path)]
    assert [path.name for path in plans] == ["default.yaml"] and len(paths) >= 9
    for path in paths:
        if path not in plans:
            check_usable(Recipe.read(path), path.name)
    for path in plans:
        plan = TrainingPlan.read(path)
        for name in plan.stages:
            recipe = plan.recipe(name, Path())
            check_usable(recipe, f"{path.name}: {name}")


def check_usable(recipe, where):
    """Everything that a training asks of its recipe before the first step, but the data."""
    found = entry(recipe.model)
    assert trained_fragments(found, recipe) and recipe.objective in OBJECTIVES, where
    assert bool(found.prompts) == (recipe.objective != "auto"), where
    adapter_config(found, recipe)
    loss_of(recipe.loss)
    protocol_of(recipe)
    if recipe.start and not recipe.start.endswith(".safetensors"):
        entry(recipe.start)
