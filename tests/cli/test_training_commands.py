"""`uniultra train` makes weights that `uniultra evaluate` scores."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from uniultra.cli import main
from uniultra.synthesis.scene import scene

RECIPE = """
model: uniultra_mini
datasets: {tiny: 1.0}
steps: 9
batch: 2
targets: 2
synthetic: 0.5
scenes: 2
"""


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["dataset", "id", "split", "image", "mask"])
        for n in range(7):
            drawn = scene(np.random.default_rng(200 + n), 128)
            mask = np.zeros((128, 128), bool) if n == 6 else drawn.targets[0]
            Image.fromarray(drawn.picture).save(folder / f"{n}.png")
            Image.fromarray(mask).save(folder / f"{n}_mask.png")
            writer.writerow(["tiny", n, "train" if n < 2 else "test", f"{n}.png", f"{n}_mask.png"])
    return folder


def test_weights_are_trained_then_scored(data, tmp_path, monkeypatch, capsys):
    recipe, trained, numbers = tmp_path / "recipe.yaml", tmp_path / "trained", tmp_path / "numbers.json"
    recipe.write_text(RECIPE)
    train = ["train", str(recipe), "--data", str(data), "--output", str(trained), "--device", "cpu"]
    assert main.main([*train, "--set", "steps=2", "--set", "optimizer.rate=1e-5"]) == 0
    told = json.loads((trained / "result.json").read_text())
    assert told["steps"] == 2 and told["recipe"]["optimizer"] == {"rate": 1e-5}
    assert (trained / "uniultra_mini.safetensors").is_file()
    assert main.main([*train, "--set", "step=2"]) == 2 and "step: Extra" in capsys.readouterr().err
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(trained))
    score = ["evaluate", "--data", str(data), "--output", str(numbers), "--device", "cpu"]
    assert main.main(score) == 1, "two steps cannot make a network obey"
    result = json.loads(numbers.read_text())
    assert result["sets"]["tiny"]["n"] == 4 and result["sets"]["tiny"]["n_empty"] == 1
    assert result["failures"] and "missed" in capsys.readouterr().out
    assert main.main([*score, "--dataset", "other"]) == 2
