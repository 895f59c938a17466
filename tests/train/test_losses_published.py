"""The papers' losses against values worked out by hand, and the boundary term's gradient."""

import math

import pytest
import torch

from uniultra.train.losses import mask_loss
from uniultra.train.losses_published import (
    LOSSES,
    boundary_distance,
    lgmedseg_loss,
    samus_loss,
    uniultra_loss,
)

PIXELS, INSIDE = 1024, 256
ONE = torch.ones(1)


@pytest.fixture
def truth():
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1
    return mask


@pytest.fixture
def undecided():
    return torch.zeros(1, 1, 32, 32)


def square(left, size=16, side=32):
    """Logits of a square whose left side is at `left`."""
    logits = torch.full((1, 1, side, side), -8.0)
    logits[..., 8 : 8 + size, left : left + size] = 8
    return logits


def test_uniultra_by_hand(truth, undecided):
    dice = 1 - (2 * 0.5 * INSIDE + 1) / (0.5 * PIXELS + INSIDE + 1)
    cross = math.log(2)
    focal = 0.8 * (1 - math.exp(-cross)) ** 2 * cross
    got = uniultra_loss(undecided, torch.zeros(1, 1), truth, ONE)
    assert float(got) == pytest.approx(0.8 * dice + 0.2 * focal, rel=1e-5)


def test_samus_by_hand(truth, undecided):
    dice = 1 - (2 * 0.5 * INSIDE) / (0.25 * PIXELS + INSIDE)
    cross = math.log(2) * (2 * INSIDE + PIXELS - INSIDE) / PIXELS
    got = samus_loss(undecided, torch.zeros(1, 1), truth, ONE)
    assert float(got) == pytest.approx(0.8 * dice + 0.2 * cross, rel=1e-5)


def test_samus_is_measured_on_the_grid_of_the_logits(truth):
    coarse = torch.full((1, 1, 16, 16), -20.0)
    coarse[..., 4:12, 4:12] = 20
    assert samus_loss(coarse, torch.zeros(1, 1), truth, ONE) < 1e-4


def test_lgmedseg_by_hand_before_the_boundary_term(truth, undecided):
    focal = 0.25 * math.log(2) * (0.25 * INSIDE + 0.75 * (PIXELS - INSIDE)) / PIXELS
    dice = 1 - (2 * 0.5 * INSIDE + 1) / (0.5 * PIXELS + INSIDE + 1)
    actual = 0.5 * INSIDE / (0.5 * PIXELS + 0.5 * INSIDE)
    got = lgmedseg_loss(undecided, torch.tensor([[0.7]]), truth, ONE, 0.0)
    assert float(got) == pytest.approx(20 * focal + dice + (0.7 - actual) ** 2, rel=1e-5)


def test_the_boundary_term_comes_in_over_the_first_third(truth):
    logits, iou = square(4), torch.zeros(1, 1)
    at = [float(lgmedseg_loss(logits, iou, truth, ONE, p)) for p in (0.0, 1 / 6, 1 / 3, 1.0)]
    distance = float(boundary_distance(logits, truth))
    assert distance > 0.005
    assert at[1] - at[0] == pytest.approx(distance, rel=1e-3)
    assert at[2] - at[0] == at[3] - at[0] == pytest.approx(2 * distance, rel=1e-3)


def test_the_predicted_iou_is_trained_towards_the_soft_one(truth):
    iou = torch.tensor([[0.5]], requires_grad=True)
    logits = (truth * 40 - 20).requires_grad_()
    lgmedseg_loss(logits, iou, truth, ONE).backward()
    assert float(iou.grad) == pytest.approx(2 * (0.5 - 1), rel=1e-4)


def test_boundary_by_hand():
    """One false row beside a half plane: DT(g) is 1 there; in the wrong row DT(p) is 1 as well."""
    truth = torch.zeros(1, 1, 8, 8)
    truth[..., :4, :] = 1
    logits = torch.full((1, 1, 8, 8), -30.0)
    logits[..., :5, :] = 30
    # 8 of 64 pixels are wrong, each 1 from the true and 1 from the drawn border.
    assert float(boundary_distance(logits, truth)) == pytest.approx(math.sqrt(8 * 2 / 64 / 128), rel=1e-3)


def test_the_boundary_term_falls_as_the_border_moves_to_the_truth(truth):
    distances = [float(boundary_distance(square(left), truth)) for left in (0, 2, 4, 6, 7, 8)]
    assert distances == sorted(distances, reverse=True) and distances[-1] < 1e-3 < distances[-2] / 2


def test_far_errors_cost_more_than_near_ones(truth):
    near, far = square(8), square(8)
    near[..., 8:24, 24] = 8
    far[..., 8:24, 31] = 8
    assert boundary_distance(far, truth) > 2 * boundary_distance(near, truth)


def test_the_boundary_terms_gradient_is_its_slope(truth):
    torch.manual_seed(0)
    logits = (square(4) / 4 + 0.3 * torch.randn(1, 1, 32, 32)).requires_grad_()
    boundary_distance(logits, truth).sum().backward()
    direction = logits.grad / logits.grad.norm()
    step = 0.02
    with torch.no_grad():
        up = boundary_distance(logits + step * direction, truth)
        down = boundary_distance(logits - step * direction, truth)
    assert float((up - down) / (2 * step)) == pytest.approx(float(logits.grad.norm()), rel=0.02)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_falls_towards_the_truth_and_weighs_targets(name, truth):
    loss = LOSSES[name]
    logits = torch.cat([square(0), square(6)])
    both = truth.repeat(2, 1, 1, 1)
    iou = torch.full((2, 1), 0.5)
    far, near = (loss(logits, iou, both, torch.tensor(w), 1.0) for w in ([1.0, 0.0], [0.0, 1.0]))
    assert near < far
    mean = loss(logits, iou, both, torch.tensor([1.0, 3.0]), 1.0)
    assert float(mean) == pytest.approx(float(far + 3 * near) / 4, rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("value", [-60.0, 0.0, 60.0])
def test_every_loss_is_finite_also_where_there_is_nothing(name, value):
    for truth in (torch.zeros(1, 1, 64, 64), torch.ones(1, 1, 64, 64)):
        logits = torch.full((1, 1, 32, 32), value, dtype=torch.bfloat16, requires_grad=True)
        loss = LOSSES[name](logits, torch.full((1, 1), 0.5), truth, ONE, 1.0)
        loss.backward()
        assert loss.dtype == torch.float32 and torch.isfinite(loss) and torch.isfinite(logits.grad).all()


def test_the_older_loss_is_in_the_table(truth):
    given = square(4), torch.full((1, 1), 0.4), truth, ONE
    assert LOSSES["mask"](*given, 0.5) == mask_loss(*given)
