"""Two processes train to the weights of one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from uniultra.train import checkpoint

STEPS, RATE = 20, 2e-5
# Both trainings compute in double precision and differ by the order of their sums alone. That is an error of
# at most LONGEST * 2^-53 in a gradient, whose norm is clipped to 1; of an error d in a gradient Adam makes
# at most RATE * d / EPSILON in a step: so much where the gradient is nearly zero, far less elsewhere. In
# single precision the same bound would exceed the steps themselves: the biases of keys, whose gradients are
# zero but for rounding, then go anywhere.
LONGEST = 2**14  # numbers added up for one gradient: pixels, tokens and pictures
EPSILON = 1e-8  # Adam's
BOUND = STEPS * RATE * LONGEST * 2**-53 / EPSILON


def torchrun(processes, recipe, data, output):
    path = output.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes), str(Path(__file__).with_name("train_in_float64.py"))]
    command += ["train", str(path), "--device", "cpu", "--data", str(data), "--output", str(output)]
    ended = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=240
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return checkpoint.read(output)


@pytest.mark.parametrize("prompts", ["uniultra", pytest.param("corrected", marks=pytest.mark.slow)])
def test_two_processes_and_one_train_the_same_weights(small, training_data, tmp_path, prompts):
    recipe = small(
        steps=STEPS,
        batch=3,  # unequal parts
        synthetic=0.34,
        scenes=3,
        pseudo=True,
        prompts=prompts,
        validate_every=10,
        patience=5,
        checkpoint_every=10,
        optimizer={"rate": RATE, "decay": 0.01, "warmup": 5},
    )
    one, two = (torchrun(n, recipe, training_data, tmp_path / str(n)) for n in (1, 2))
    assert one["step"] == two["step"] == STEPS
    half = torch.load(tmp_path / "1" / checkpoint.BEFORE, weights_only=True)["model"]
    moved = 0.0
    for name, value in one["model"].items():
        assert value.dtype == torch.float64 or not value.is_floating_point()
        torch.testing.assert_close(value, two["model"][name], rtol=0, atol=BOUND, msg=name)
        moved = max(moved, float((value - half[name]).abs().max()))
    assert moved > 1000 * BOUND, "the weights move far more in these steps than the runs may differ"
    assert one["score"] == pytest.approx(two["score"], abs=1e-9)
