"""Muon turns the weights of linear layers, AdamW trains the rest, and both go on exactly."""

import pytest
import torch
from torch import nn

from uniultra.errors import ModelError
from uniultra.models import entry
from uniultra.train import checkpoint
from uniultra.train.initial_network import starting_network
from uniultra.train.objectives import build_objective
from uniultra.train.optimizers import OptimizerGroup, optimizer_of
from uniultra.train.trainer import Trainer

MUON = {"name": "muon", "rate": 1e-3, "decay": 0.01}


def made(recipe):
    goal = build_objective(starting_network(recipe), entry(recipe.model), recipe)
    return goal, optimizer_of(goal, recipe)


def test_muon_takes_the_weights_of_linear_layers_and_nothing_else(small):
    goal, optimizer = made(small(optimizer=MUON, trains="all"))
    assert isinstance(optimizer, OptimizerGroup)
    adam, muon = optimizer.parts
    assert isinstance(adam, torch.optim.AdamW) and isinstance(muon, torch.optim.Muon)
    turned = {id(p) for group in muon.param_groups for p in group["params"]}
    left = {id(p) for group in adam.param_groups for p in group["params"]}
    linear = {id(m.weight) for m in goal.network.modules() if isinstance(m, nn.Linear)}
    assert turned == linear and not turned & left
    assert turned | left == {id(p) for p in goal.parameters()}
    tokens = goal.network.sam_mask_decoder.mask_tokens.weight
    assert id(tokens) in left
    for group in optimizer.param_groups:
        assert group["weight_decay"] == (0.01 if group["params"][0].ndim > 1 else 0.0)


def test_what_has_no_linear_layer_is_left_to_adamw(small):
    _, optimizer = made(small(optimizer=MUON, trains=[".norm1."]))
    assert isinstance(optimizer, torch.optim.AdamW)


def test_a_step_of_muon_is_orthogonal_and_as_long_as_one_of_adamw(small):
    goal, optimizer = made(small(optimizer={**MUON, "decay": 0.0}, trains="all"))
    weight = goal.network.sam_mask_decoder.transformer.layers[0].mlp.layers[0].weight
    before = weight.detach().clone()
    torch.manual_seed(0)
    weight.grad = torch.randn(weight.shape) @ torch.diag(torch.logspace(0, -3, weight.shape[1]))
    optimizer.step()
    change = (weight.detach() - before).double()
    values = torch.linalg.svdvals(change)
    assert values[: len(values) // 2].min() > 0.4 * values.max()  # the gradient's fell to a thirtieth there
    assert 0.1e-3 < change.square().mean().sqrt() < 0.4e-3


def test_a_stopped_training_with_muon_goes_on_to_the_same_bits(small, training_data, tmp_path, one_thread):
    turns = {"prompts": "interactive", "corrections": 3, "multimask": 1.0, "border_weight": 0.5}
    recipe = small(optimizer=MUON, steps=2, batch=1, **turns)
    Trainer(recipe, training_data, tmp_path / "whole").run()
    Trainer(small(optimizer=MUON, steps=1, batch=1, **turns), training_data, tmp_path / "cut").run()
    Trainer(recipe, training_data, tmp_path / "cut").run()
    whole, cut = (checkpoint.read(tmp_path / name) for name in ("whole", "cut"))
    assert whole["step"] == cut["step"] == 2
    for name, value in whole["model"].items():
        assert torch.equal(value, cut["model"][name]), name
    with pytest.raises(ModelError, match=r"optimizer\.name"):
        Trainer(small(steps=6, batch=1), training_data, tmp_path / "cut").run()
