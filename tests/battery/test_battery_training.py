"""One short real training lowers the loss of every model, and what it leaves is that better network."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from battery_cases import SMALL, cases
from PIL import Image

from uniultra.datasets.samples import Preparation, pool
from uniultra.datasets.splits import divide
from uniultra.models import entry
from uniultra.synthesis.scene import scene
from uniultra.train.batches import Batches
from uniultra.train.initial_network import starting_network
from uniultra.train.objectives import build_objective
from uniultra.train.recipe import Recipe
from uniultra.train.result import trained_network
from uniultra.train.trainer import Trainer

STEPS = 12
# 1.5 % of LG-MedSeg is trained, beside a random encoder: what 12 steps gain, rounding may take away.
MORE_STEPS = {"lgmedseg": 40}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two generated pictures with their manifest."""
    folder = tmp_path_factory.mktemp("data")
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["dataset", "id", "split", "image", "mask"])
        for n in range(2):
            drawn = scene(np.random.default_rng(n), 128)
            Image.fromarray(drawn.picture).save(folder / f"{n}.png")
            Image.fromarray(drawn.targets[0]).save(folder / f"{n}_mask.png")
            writer.writerow(["generated", n, "train", f"{n}.png", f"{n}_mask.png"])
    return folder


@pytest.mark.parametrize("name", cases("training"))
def test_training(name, numbers, data, folder):
    found = entry(name)
    recipe = Recipe.of(
        {
            "model": name,
            "datasets": {"generated": 1.0},
            "objective": "prompt" if found.prompts else "auto",
            "target": "whole",
            "turns": 1,
            "steps": MORE_STEPS.get(name, STEPS),
            "batch": 2,
            "targets": 1,
            "image_size": SMALL,
            "augment": False,
            "average": None,
            "checkpointing": True,
            "validate_every": None,
            # An adapter beside frozen random weights has less of a say than the weights themselves.
            "optimizer": {"rate": 4e-3 if found.adapter else 1e-3, "warmup": 2},
        }
    )
    how = Preparation(SMALL, found.fit, whole=True, pseudo=False, seed=recipe.seed)
    samples = pool(divide(data, recipe.datasets).train, 0, how, workers=1)
    batches = Batches(samples, recipe, prompted=bool(found.prompts))

    def loss(network):
        # Steps that the training does not take: the same pictures and other prompts. In training mode,
        # because running statistics are still those of the start after so few steps.
        with torch.no_grad():
            goal = build_objective(network, found, recipe).train()
            return sum(float(goal(batches[step], 0.0)["loss"]) for step in (1000, 1001, 1002)) / 3

    numbers["before"] = loss(starting_network(recipe))
    Trainer(recipe, data, folder, workers=0).run()
    numbers["after"] = loss(trained_network(recipe, folder))
    assert numbers["after"] < 0.97 * numbers["before"]
