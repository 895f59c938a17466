"""One click alone is answered by the mask that the model's policy names, all else by the single one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from noise_source import Noise

from uniultra.datasets.samples import Row
from uniultra.errors import ImageError
from uniultra.evaluate.policies import compare, table
from uniultra.images.types import Plane
from uniultra.models import build, entry
from uniultra.predict import Predictor
from uniultra.prompts import Box, Point, PromptSet

MODEL = entry("uniultra_mini")
SOURCE = Noise(shape=(1, 80, 80))
CLICK = PromptSet(points=(Point(40, 30),))
OTHERS = (
    PromptSet(points=(Point(40, 30, positive=False),)),
    PromptSet(points=(Point(40, 30), Point(9, 9))),
    PromptSet(points=(Point(40, 30),), box=Box(20, 10, 60, 50)),
)


@pytest.fixture(scope="module")
def network():
    """A network whose four masks differ, and which takes its third for the best of a lone click."""
    torch.manual_seed(0)
    made = build("uniultra_mini", 64).eval()
    decoder = made.sam_mask_decoder
    with torch.no_grad():
        for n, head in enumerate(decoder.output_hypernetworks_mlps):
            head.layers[-1].weight.normal_(std=0.5, generator=torch.Generator().manual_seed(n))
        decoder.iou_prediction_head.layers[-1].bias.copy_(torch.tensor([0.4, 0.2, 1.5, -1.0]))
    return made


def answers(network, policy, prompts):
    predictor = Predictor.of(network, replace(MODEL, lone_click=policy), device="cpu")
    return predictor.predict(SOURCE, Plane("k", 0), prompts)


def test_a_lone_click_is_answered_by_the_best_of_three_where_the_entry_says_so(network):
    [single], [best] = (answers(network, policy, [CLICK]) for policy in ("single", "best"))
    assert MODEL.lone_click == "single"
    assert (single.mask != best.mask).any() and best.score > single.score
    assert best.score == pytest.approx(torch.sigmoid(torch.tensor(1.5)).item(), abs=0.1)


def test_every_other_prompt_gets_the_single_mask_whatever_it_is_asked_with(network):
    plain = answers(network, "single", [*OTHERS, CLICK])
    chosen = answers(network, "best", [*OTHERS, CLICK])
    for one, other in zip(plain[:-1], chosen[:-1], strict=True):
        assert np.array_equal(one.mask, other.mask) and one.score == pytest.approx(other.score, abs=1e-5)
    [alone] = answers(network, "best", [CLICK])
    assert (alone.mask != chosen[-1].mask).mean() < 0.002


def test_both_policies_are_compared_on_the_rows_of_a_manifest(network, tmp_path):
    from PIL import Image

    rows = []
    for n, filled in enumerate((True, True, False)):
        mask = np.zeros((80, 80), bool)
        mask[10 : 30 + n, 12:40] = filled
        Image.fromarray(SOURCE.picture(Plane("k", 0))).save(tmp_path / f"{n}.png")
        Image.fromarray(mask).save(tmp_path / f"{n}_mask.png")
        files = tmp_path / f"{n}.png", tmp_path / f"{n}_mask.png"
        rows.append(Row("ab"[n % 2], str(n), "val", *files))
    found = compare(network, MODEL, rows, device="cpu")
    assert {name: one.n for name, one in found.items()} == {"all": 2, "a": 1, "b": 1}
    assert found["all"].single == pytest.approx((found["a"].single + found["b"].single) / 2)
    assert found["all"].single != found["all"].best
    assert found["a"].gained == float(found["a"].best > found["a"].single)
    assert len(table(found)) == 4
    with pytest.raises(ImageError, match="to click on"):
        compare(network, MODEL, rows[2:], device="cpu")
