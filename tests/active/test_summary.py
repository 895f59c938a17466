"""Probability maps become the right numbers."""

import numpy as np
import pytest
from scipy.special import expit

from uniultra.active.summary import Answer, bits, soft_dice_loss, summarise, target_band


def ball(radius, blur=1.0, side=64, centre=(32, 32)):
    y, x = np.mgrid[:side, :side]
    away = np.hypot(x - centre[0], y - centre[1])
    return expit((radius - away) / blur).astype(np.float32)


def test_entropy_is_largest_at_one_half():
    found = bits(np.asarray([[0.0, 0.37, 0.5, 0.63, 1.0]], np.float32))[0]
    assert found[2] == pytest.approx(1) and found[0] == found[4] == 0
    assert found[1] == pytest.approx(found[3], abs=1e-6) and found[1] < 1


def test_boundary_entropy_ignores_uncertain_background():
    sure = ball(10, 0.3)
    noisy = sure.copy()
    noisy[:12, :] = 0.45  # far from the structure the model knows nothing
    blurred = ball(10, 2.0)
    plain, beside, wide = (summarise([Answer(p, 0.8)]) for p in (sure, noisy, blurred))
    assert beside.entropy > wide.entropy > plain.entropy
    assert beside.boundary == pytest.approx(plain.boundary)
    assert wide.boundary > 2 * plain.boundary


def test_a_faint_answer_has_a_band_of_its_own():
    faint = 0.3 * ball(8, 0.5)
    band = target_band(faint)
    assert band[32, 32] and not band[5, 5] and 150 < band.sum() < 600
    assert summarise([Answer(faint, 0.2)]).boundary > 0.5
    assert summarise([Answer(np.zeros((9, 9), np.float32), 0.2)]).boundary == 0


def test_answers_count_by_their_weight():
    answers = [
        Answer(ball(10, 0.3), 0.9, weight=3),
        Answer(np.full((64, 64), 0.5, np.float32), 0.1, weight=1),
    ]
    found = summarise(answers, 0.25)
    alone = [summarise([one]) for one in answers]
    assert found.iou == pytest.approx(0.7)
    assert found.entropy == pytest.approx(0.75 * alone[0].entropy + 0.25 * alone[1].entropy)
    assert found.disagreement == 0.25 and found.classes == {}
    unweighted = summarise([Answer(one.probabilities, one.iou, weight=0) for one in answers])
    assert unweighted.iou == pytest.approx(0.5), "where nothing is believed all count alike"


def test_each_class_has_its_entropy():
    small, large = ball(3, 1.0), ball(20, 1.0)
    found = summarise([Answer(small, 0.5, name="small"), Answer(large, 0.5, name="large")]).classes
    assert found["large"] > 3 * found["small"] > 0


def test_soft_dice_loss():
    first = ball(8, 0.1)
    assert soft_dice_loss(first, first) == pytest.approx(0, abs=1e-6)
    assert soft_dice_loss(first, ball(8, 0.1, centre=(5, 5))) > 0.99
    assert soft_dice_loss(np.zeros((4, 4)), np.zeros((4, 4))) == 0
