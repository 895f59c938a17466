"""What a batch teaches: only what is to be trained, and nothing that depends on the company it is in."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from uniultra.datasets.samples import synthetic_sample
from uniultra.errors import ModelError
from uniultra.models import entry
from uniultra.prompts import Box, Point, PromptSet
from uniultra.prompts.coordinates import Fit
from uniultra.prompts.raster import encode
from uniultra.train.batches import Batches, validation
from uniultra.train.initial_network import starting_network
from uniultra.train.objective import ask, dices, recompute_blocks
from uniultra.train.objectives import build_objective


@pytest.fixture(scope="module")
def samples():
    return [replace(synthetic_sample(64, n), dataset="tiny") for n in range(3)]


def goal_of(recipe):
    return build_objective(starting_network(recipe), entry(recipe.model), recipe).train()


def loud(network):
    """Give every adapter a say: ends that start at zero would hide what lies before them."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.02)


@pytest.mark.parametrize("trains", ["adapter", "decoder", (".edge_stem.",)])
def test_only_what_is_trained_gets_gradients(small, samples, trains):
    recipe = small(trains=trains)
    goal = goal_of(recipe)
    loud(goal.network)
    goal(Batches(samples, recipe, prompted=True)[0])["loss"].backward()
    parts = {"adapter": (".ch_adapters.", ".sam_"), "decoder": (".sam_",)}.get(trains, trains)
    for name, parameter in goal.network.named_parameters():
        wanted = any(part in f".{name}" for part in parts)
        assert parameter.requires_grad == wanted, name
        assert wanted or parameter.grad is None, name
    assert sum(p.grad is not None for p in goal.parameters()) > 0


def test_recomputed_blocks_give_the_same_gradients(small, samples):
    recipe = small(turns=1)
    plain = goal_of(recipe)
    loud(plain.network)
    again = deepcopy(plain)
    assert recompute_blocks(again.network) == 12
    batch = Batches(samples, recipe, prompted=True)[0]
    for goal in (plain, again):
        goal(batch)["loss"].backward()
    compared = 0
    for (name, a), b in zip(plain.named_parameters(), again.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), name
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, msg=name)
            compared += "ch_adapters" in name
    assert compared > 40
    copied = deepcopy(again.network).eval()
    with torch.no_grad():
        pictures = batch.pictures
        torch.testing.assert_close(copied.encode(pictures).image, again.network.encode(pictures).image)


def test_an_answer_does_not_depend_on_what_else_is_asked(small):
    network = starting_network(small()).eval()
    prompts = [
        PromptSet(points=(Point(10, 12),)),
        PromptSet(points=(Point(40, 12), Point(5, 5, positive=False)), box=Box(30, 5, 50, 20)),
        PromptSet(points=(Point(33, 33),)),
        PromptSet(),
    ]
    encoded = [encode(p, Fit(64, 64, 64)) for p in prompts]
    picture = torch.tensor([0, 1, 1, 0])
    with torch.no_grad():
        embedding = network.encode(torch.randn(2, 3, 64, 64))
        together, quality = ask(network, embedding, picture, encoded)
        for n, one in enumerate(encoded):
            alone, score = ask(network, embedding, picture[n : n + 1], [one])
            torch.testing.assert_close(together[n : n + 1], alone, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(quality[n : n + 1], score, rtol=1e-4, atol=1e-5)


def test_frozen_batch_norms_keep_their_statistics(small):
    goal = goal_of(small(trains="decoder"))
    goal.network.extra = nn.ModuleList([nn.BatchNorm2d(3).requires_grad_(False), nn.BatchNorm2d(3)])
    goal.train()
    frozen, trained = goal.network.extra
    assert not frozen.training and trained.training
    assert not goal.eval().network.extra[1].training


def test_corrections_can_leave_the_encoder_alone(small, samples):
    batch = Batches(samples, small(), prompted=True)[0]
    found = []
    for detached in (False, True):
        recipe = small(turns=3, detach_turns=detached, trains="all", prompts="corrected")
        goal = goal_of(recipe)
        goal(batch)["loss"].backward()
        encoder = goal.network.image_encoder
        found.append(torch.cat([p.grad.flatten() for p in encoder.parameters() if p.grad is not None]))
        assert all(p.grad is not None for p in goal.network.sam_mask_decoder.transformer.parameters())
    assert found[0].shape == found[1].shape and not torch.allclose(found[0], found[1])


def test_a_score_is_the_dice_of_the_first_answer(small, samples):
    recipe = small(batch=3)
    goal = goal_of(recipe).eval()
    [batch] = validation(samples, recipe, prompted=True)
    with torch.inference_mode():
        scores = goal.score(batch)
    assert scores.shape == (3,) and 0 <= scores.min() <= scores.max() <= 1
    masks = np.zeros((3, 4, 4), bool)
    masks[1, :2] = masks[2, 1:3] = True
    assert dices(masks, masks[[0, 2, 0]]).tolist() == [1.0, 0.5, 0.0]


def test_an_objective_that_does_not_suit_is_refused(small):
    network = starting_network(small())
    for wrong in ({"objective": "guess"}, {"objective": "auto", "target": "whole"}, {"loss": "none"}):
        with pytest.raises(ModelError):
            build_objective(network, entry("uniultra_mini"), small(**wrong))
