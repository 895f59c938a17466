"""Overlap against MONAI's metrics, and the ellipse against its formula."""

import numpy as np
import pytest
import torch
from monai.metrics import compute_dice, compute_iou

from uniultra.metrics.overlap import dice, ellipse_in, iou
from uniultra.prompts import Box


def test_overlap_equals_monai():
    rng = np.random.default_rng(0)
    for share in (0.1, 0.5, 0.9):
        a, b = rng.random((2, 40, 50)) < share
        pair = [torch.from_numpy(m)[None, None].float() for m in (a, b)]
        assert dice(a, b) == pytest.approx(float(compute_dice(*pair)))
        assert iou(a, b) == pytest.approx(float(compute_iou(*pair)))


def test_two_empty_masks_agree():
    empty = np.zeros((3, 3), bool)
    assert dice(empty, empty) == iou(empty, empty) == 1
    assert dice(empty, ~empty) == iou(empty, ~empty) == 0


def test_the_ellipse_touches_its_box():
    mask = ellipse_in(Box(10, 20, 109, 59), (80, 120))
    rows, columns = np.nonzero(mask)
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (10, 20, 109, 59)
    assert mask.sum() == pytest.approx(np.pi * 50 * 20, rel=0.01)
    assert ellipse_in(Box(3, 3, 3, 3), (5, 5)).sum() == 1
