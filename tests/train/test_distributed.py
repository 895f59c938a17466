"""Two processes train to the weights of one."""

import os
import subprocess
import sys

import pytest
import torch
import yaml

from uniultra.train import checkpoint
from uniultra.train.initial_network import starting_network
from uniultra.train.trainer import Trainer

STEPS = 20


def torchrun(recipe, data, output):
    path = output.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "uniultra.cli", "train", str(path), "--device", "cpu"]
    command += ["--data", str(data), "--output", str(output)]
    return subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=240
    )


@pytest.mark.parametrize("prompts", ["uniultra", pytest.param("corrected", marks=pytest.mark.slow)])
def test_two_processes_and_one_train_the_same_weights(small, training_data, tmp_path, one_thread, prompts):
    recipe = small(
        steps=STEPS,
        batch=3,  # unequal parts
        synthetic=0.34,
        scenes=3,
        pseudo=True,
        prompts=prompts,
        validate_every=10,
        patience=5,
        optimizer={"rate": 2e-5, "decay": 0.01, "warmup": 5},
    )
    Trainer(recipe, training_data, tmp_path / "one").run()
    ended = torchrun(recipe, training_data, tmp_path / "two")
    assert ended.returncode == 0, ended.stderr[-2000:]
    one, two = checkpoint.read(tmp_path / "one"), checkpoint.read(tmp_path / "two")
    assert one["step"] == two["step"] == STEPS
    fresh = starting_network(recipe).state_dict()
    moved = 0.0
    for name, value in one["model"].items():
        # Adam makes whole steps of gradients that are nearly zero, where sums in another order differ.
        torch.testing.assert_close(value, two["model"][name], rtol=0, atol=3e-5, msg=name)
        moved = max(moved, float((value - fresh[name.removeprefix("network.")]).abs().max()))
    assert moved > 2e-4, "the weights move far more in these steps than the runs differ"
    assert one["score"] == pytest.approx(two["score"], abs=1e-3)
