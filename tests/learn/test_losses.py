"""Losses fall when the answer gets better, and leave out what weighs nothing."""

import pytest
import torch

from uniultra.learn.losses import click_loss, mask_loss


@pytest.fixture
def truth():
    mask = torch.zeros(2, 1, 32, 32)
    mask[:, :, 8:24, 8:24] = 1
    return mask


def test_a_right_mask_with_the_right_score_costs_almost_nothing(truth):
    logits = torch.nn.functional.interpolate(truth, (32, 32)) * 40 - 20
    one = torch.ones(2)
    right = mask_loss(logits, torch.ones(2, 1), truth, one)
    assert right < 0.01
    assert mask_loss(logits, torch.zeros(2, 1), truth, one) == pytest.approx(float(right) + 1, abs=0.01)
    assert mask_loss(-logits, torch.zeros(2, 1), truth, one) > 10


def test_what_weighs_nothing_is_left_out(truth):
    logits = torch.cat([truth[:1] * 40 - 20, torch.full((1, 1, 32, 32), 20.0)])
    both = mask_loss(logits, torch.ones(2, 1), truth, torch.tensor([1.0, 0.0]))
    alone = mask_loss(logits[:1], torch.ones(1, 1), truth[:1], torch.ones(1))
    assert both == pytest.approx(float(alone))


def test_clicks_are_looked_at_where_they_are():
    logits = torch.full((1, 1, 64, 64), -8.0)
    logits[..., 10:14, 40:44] = 8  # model_xy 160..175, 40..55 of a square of 256
    inside, outside = torch.tensor([[[168.0, 48.0]]]), torch.tensor([[[48.0, 168.0]]])
    weight = torch.ones(1)
    for coords, label, good in (
        (inside, 1, True),
        (outside, 1, False),
        (outside, 0, True),
        (inside, 0, False),
    ):
        loss = click_loss(logits, coords, torch.tensor([[float(label)]]), 256, weight)
        assert bool(loss < 0.01) is good
    corners = click_loss(logits, inside, torch.tensor([[2.0]]), 256, weight)
    assert corners == 0
