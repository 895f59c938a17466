"""The predicted IoU is measured after a training and, where a recipe says so, put right in the weights."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from uniultra.datasets.samples import synthetic_sample
from uniultra.models import build, entry
from uniultra.train.batches import validation
from uniultra.train.initial_network import starting_network
from uniultra.train.iou_calibration import assess, fit, fold, judged
from uniultra.train.objectives import build_objective
from uniultra.train.trainer import Trainer


def goal_of(recipe):
    return build_objective(starting_network(recipe), entry(recipe.model), recipe)


@pytest.fixture(scope="module")
def samples():
    return [replace(synthetic_sample(64, n), dataset="tiny") for n in range(6)]


def test_a_line_that_was_bent_is_found_again():
    rng = np.random.default_rng(0)
    actual = rng.uniform(0.05, 0.98, 400)
    bent = 1 / (1 + np.exp(-(2 * np.log(actual / (1 - actual)) + 1.5)))  # too sure, and too high
    slope, shift = fit(np.stack([bent, actual], 1), bounded=True)
    assert (slope, shift) == (pytest.approx(0.5, abs=0.01), pytest.approx(-0.75, abs=0.02))
    slope, shift = fit(np.stack([0.5 * actual + 0.2, actual], 1), bounded=False)
    assert (slope, shift) == (pytest.approx(2, abs=0.01), pytest.approx(-0.4, abs=0.01))
    assert fit(np.stack([1 - actual, actual], 1), bounded=True)[0] > 0  # never turned around


@pytest.mark.parametrize("name", ["uniultra_mini", "sam_b_256"])
def test_folding_moves_the_single_masks_iou_alone(name):
    from uniultra.networks.sam_image import SamImage

    torch.manual_seed(0)
    sam2 = name == "uniultra_mini"
    network = build(name, 64) if sam2 else SamImage(torch.nn.Identity(), 64, 4)
    head, tokens = network.sam_mask_decoder.iou_prediction_head, torch.randn(5, 256)
    with torch.no_grad():
        before = head(tokens)
        fold(network, 2.0, -0.25)
        after = head(tokens)
    assert torch.equal(before[:, 1:], after[:, 1:])
    value = (before[:, 0].logit() if sam2 else before[:, 0]) * 2 - 0.25
    torch.testing.assert_close(after[:, 0], value.sigmoid() if sam2 else value, rtol=1e-4, atol=1e-5)


def test_a_network_that_thinks_too_well_of_itself_is_corrected(small, samples):
    recipe = small(prompts="interactive", batch=3, targets=2)
    goal = goal_of(recipe)
    with torch.no_grad():
        goal.network.sam_mask_decoder.iou_prediction_head.layers[-1].bias[0] = 3.0
    batches = list(validation(samples, recipe, prompted=True))
    pairs = judged(goal, batches, "cpu")
    assert pairs.shape == (3 * sum(len(b.masks) for b in batches), 2) and 0 <= pairs.min() <= pairs.max() <= 1
    kept = {name: value.clone() for name, value in goal.network.state_dict().items()}
    measured = assess(goal, batches, "cpu")
    assert measured.n == len(pairs) >= 30 and measured.corrected is None
    assert (
        measured.bias == pytest.approx((pairs[:, 0] - pairs[:, 1]).mean(), abs=1e-4) and measured.error > 0.3
    )
    assert all(torch.equal(value, kept[name]) for name, value in goal.network.state_dict().items())
    corrected = assess(goal, batches, "cpu", correct=True)
    assert corrected.error == measured.error and corrected.corrected < 0.5 * measured.error
    again = judged(goal, batches, "cpu")
    assert np.array_equal(again[:, 1], pairs[:, 1])  # the masks are what they were


def test_a_decoder_that_is_not_trained_is_left_alone(small, samples):
    recipe = small(prompts="interactive", batch=3, targets=2, trains=[".edge_stem."])
    goal = goal_of(recipe)
    found = assess(goal, list(validation(samples, recipe, prompted=True)), "cpu", correct=True)
    assert found.n >= 30 and found.corrected is None
    assert assess(goal, [], "cpu", correct=True) is None


def test_a_training_says_how_well_the_iou_is_predicted(small, training_data, tmp_path):
    Trainer(small(steps=1, validate_every=1), training_data, tmp_path).run()
    told = json.loads((tmp_path / "result.json").read_text())["predicted_iou"]
    assert told["n"] == 3 and 0 <= told["error"] <= 1 and told["corrected"] is None
