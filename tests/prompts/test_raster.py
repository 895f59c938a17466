"""The drawing and the tokens the network gets say what the prompts say."""

import numpy as np
import pytest

from uniultra.prompts import Box, Lasso, MaskPrompt, Point, PromptSet, Scribble
from uniultra.prompts.coordinates import Fit
from uniultra.prompts.kinds import CELL
from uniultra.prompts.raster import batch, encode

FIT = Fit(128, 256, 256)


def test_a_click_is_a_disk_in_its_own_channel():
    encoded = encode(PromptSet(points=(Point(200, 32), Point(10, 100, positive=False))), FIT)
    for channel, (x, y) in ((1, (200, 32)), (2, (10, 100))):
        row, column = np.unravel_index(encoded.drawing[channel].argmax(), (64, 64))
        mx, my = FIT.to_model(x, y)
        assert abs(column - mx / CELL) <= 2 and abs(row - my / CELL) <= 2
        assert encoded.drawing[channel].max() == 1
    assert encoded.labels.tolist() == [1, 0]
    assert not encoded.drawing[[0, 3]].any()


def test_a_click_in_the_corner_stays_on_the_grid():
    for x, y in ((-0.5, -0.5), (255, 127), (0, 127)):
        drawing = encode(PromptSet(points=(Point(x, y),)), FIT).drawing
        assert drawing[1].max() > 0.5 and np.isfinite(drawing).all()


def test_a_box_covers_its_area_corner_pixels_included():
    encoded = encode(PromptSet(box=Box(0, 0, 127, 127)), FIT)
    assert encoded.drawing[3].sum() * CELL**2 == pytest.approx(128 * 256)  # half the width, squashed
    assert encoded.labels.tolist() == [2, 3]


def test_a_mask_is_signed_and_absent_masks_are_zero():
    mask = np.zeros((128, 256), bool)
    mask[:64] = True
    drawing = encode(PromptSet(mask=MaskPrompt(mask)), FIT).drawing
    assert (drawing[0, :32] == 1).all() and (drawing[0, 32:] == -1).all()
    assert not encode(PromptSet(points=(Point(1, 1),)), FIT).drawing[0].any()


def test_a_lasso_is_a_mask_and_its_box():
    encoded = encode(PromptSet(lasso=Lasso(((20, 20), (200, 20), (200, 100), (20, 100)))), FIT)
    assert encoded.labels.tolist() == [2, 3]
    assert encoded.drawing[0].max() == 1 and encoded.drawing[0].min() == -1
    inside = encoded.drawing[0] > 0
    assert inside.sum() == pytest.approx(180 / 4 * 80 / 2, rel=0.1)


def test_scribbles_are_drawn_and_sampled():
    pixels = np.zeros((128, 256), bool)
    pixels[64, 20:220] = True
    encoded = encode(PromptSet(scribbles=(Scribble(pixels), Scribble(pixels[::-1].copy(), False))), FIT)
    assert (encoded.drawing[1] == 1).sum() == 50
    assert encoded.labels.tolist() == [1] * 8 + [0] * 8


def test_a_batch_pads_with_labels_the_network_ignores():
    one, two = encode(PromptSet(points=(Point(1, 1),)), FIT), encode(PromptSet(box=Box(1, 1, 9, 9)), FIT)
    coords, labels, drawings = batch([one, two])
    assert coords.shape == (2, 3, 2) and drawings.shape == (2, 4, 64, 64)
    assert labels.tolist() == [[1, -1, -1], [2, 3, -1]]


def test_an_answer_beside_a_lasso_counts_as_far_as_it_is_enclosed():
    lasso = Lasso(((20, 20), (200, 20), (200, 100), (20, 100)))
    answer = np.zeros((128, 256), bool)
    answer[40:80, 60:220] = True
    elsewhere = np.zeros_like(answer)
    elsewhere[110:, :100] = True
    alone, refined, other = (
        encode(PromptSet(lasso=lasso, mask=mask), FIT)
        for mask in (None, MaskPrompt(answer), MaskPrompt(elsewhere))
    )
    assert np.array_equal(refined.coords, alone.coords)
    assert np.array_equal(refined.drawing[3], alone.drawing[3])
    assert (refined.drawing[0] > 0).sum() == pytest.approx(140 / 4 * 40 / 2, rel=0.1)
    assert np.array_equal(other.drawing[0], alone.drawing[0])
