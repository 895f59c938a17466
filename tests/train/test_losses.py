"""Losses fall when the answer gets better, and leave out what weighs nothing."""

import pytest
import torch

from uniultra.train.losses import best_mask, border_loss, click_loss, hard_iou, mask_loss, quality_loss


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


def ellipse(side=32, wide=10.0, high=7.0):
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return (((rows - 15.5) / high) ** 2 + ((columns - 15.5) / wide) ** 2 < 1).float()[None, None]


def test_a_border_counts_by_what_is_wrong_along_it():
    truth, one = ellipse(), torch.ones(1)
    right = truth * 20 - 10
    assert border_loss(right, truth, one) < 1e-3
    hole = right.clone()
    hole[..., 14:17, 14:17] = -10  # as many pixels, far from the border
    rough = right.clone()
    rough[..., 14:17, 24:27] = 10
    assert border_loss(hole, truth, one) < 1e-3 < 0.05 < border_loss(rough, truth, one)
    nearer, farther = (border_loss(ellipse(wide=w) * 20 - 10, truth, one) for w in (11, 13))
    assert 0 < nearer < farther
    nothing = torch.zeros_like(truth)
    assert border_loss(-right, nothing, one) == 0  # no border, no term
    edge = torch.zeros_like(truth)
    edge[..., :10] = 1
    assert border_loss(edge * 20 - 10, edge, one) < 1e-3  # the picture's edge is no border


def test_the_predicted_iou_learns_the_real_one_and_masks_do_not_learn_from_it(truth):
    logits = (truth * 20 - 10).repeat(1, 3, 1, 1)
    logits[:, 1, 8:16] = -10  # half of it is missed
    logits[:, 2] = -10
    logits.requires_grad_()
    assert hard_iou(logits, truth).tolist() == [[1, 0.5, 0]] * 2
    assert best_mask(logits, truth).tolist() == [0, 0]
    iou = torch.full((2, 3), 0.5, requires_grad=True)
    loss = quality_loss(logits, iou, truth, torch.ones(2))
    assert loss.item() == pytest.approx(1 / 3)
    loss.backward()
    assert logits.grad is None
    assert iou.grad.sign().tolist() == [[-1, 0, 1]] * 2


def test_the_mask_loss_asks_for_the_iou_at_the_truths_size():
    """Logits on a coarse grid: what counts is the IoU of the enlarged mask."""
    truth = ellipse()
    logits = torch.nn.functional.interpolate(truth, (16, 16), mode="area") * 20 - 10
    enlarged = torch.nn.functional.interpolate(logits, (32, 32), mode="bilinear")
    real = hard_iou(enlarged, truth)
    assert 0.8 < real < 1
    losses = [float(mask_loss(logits, real + shift, truth, torch.ones(1))) for shift in (-0.1, 0, 0.1)]
    assert losses[0] == pytest.approx(losses[1] + 0.1) and losses[2] == pytest.approx(losses[1] + 0.1)
