"""The U-Net is a U-Net, costs what the mini costs, and answers through the same doors as the others."""

import numpy as np
import pytest
import torch

from uniultra.errors import ModelError
from uniultra.images.types import Plane
from uniultra.metrics.cost import count_work
from uniultra.models import build, entry
from uniultra.models.counting import on_meta
from uniultra.networks.unet import FILTERS, SMALLEST, expected_iou
from uniultra.predict import Predictor
from uniultra.prompts import PromptSet
from uniultra.train.initial_network import starting_network
from uniultra.train.plan import TrainingPlan
from uniultra.train.recipe import Recipe

SIDE = 64


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build("unet", SIDE).eval()


def test_it_costs_what_the_mini_costs():
    mini, unet = count_work(on_meta("uniultra_mini"), "point"), count_work(on_meta("unet"), "none")
    ratio = (unet.gmac_encode + unet.gmac_decode) / (mini.gmac_encode + mini.gmac_decode)
    assert 0.9 < ratio < 1.1


def test_it_is_monais_network(network):
    """Down and up by hand give what DynUNet gives when it goes through its own recursion."""
    from monai.networks.nets import DynUNet

    whole = DynUNet(2, 3, 1, [3] * 5, [2] * 5, [2] * 4, filters=FILTERS).eval()
    ours = network.image_encoder.levels
    theirs = [whole.input_block, *whole.downsamples, whole.bottleneck]
    for mine, its in [
        *zip(ours, theirs, strict=True),
        *zip(network.mask_decoder.levels, whole.upsamples, strict=True),
        (network.mask_decoder.last, whole.output_block),
    ]:
        its.load_state_dict(mine.state_dict())
    pictures = torch.randn(2, 3, SIDE, SIDE)
    with torch.no_grad():
        logits, iou = network.decode(network.encode(pictures))
        assert torch.allclose(logits, whole(pictures), atol=1e-6)
    assert logits.shape == (2, 1, SIDE // 2, SIDE // 2) and iou.shape == (2, 1)


def test_no_part_of_it_is_dead_weight(network):
    names = {name.split(".")[0] for name, _ in network.named_parameters()}
    assert names == {"image_encoder", "mask_decoder"}


def test_the_expected_iou_is_the_mean_over_what_the_probabilities_draw():
    """Sure logits are sure of themselves; unsure ones expect what masks drawn from them really share."""
    torch.manual_seed(0)
    sure = torch.where(torch.rand(1, 1, 16, 16) > 0.5, 30.0, -30.0)
    assert expected_iou(sure).item() == pytest.approx(1)
    logits = 2 * torch.randn(1, 1, 64, 64)
    mask, drawn = logits > 0, torch.rand(400, 1, 64, 64) < logits.sigmoid()
    shares = (mask & drawn).flatten(1).sum(1) / (mask | drawn).flatten(1).sum(1)
    assert expected_iou(logits).item() == pytest.approx(shares.mean().item(), abs=0.005)
    assert expected_iou(torch.full((1, 1, 8, 8), -200.0)).item() == 0, "nothing found, no number lost"


def test_the_predictor_asks_it_without_a_prompt(network):
    class Still:
        content_hash = "a"

        def plane_shape(self, axis):
            return 40, 90

        def picture(self, plane):
            return np.random.default_rng(0).integers(0, 255, (40, 90), dtype=np.uint8)

    predictor = Predictor.of(network, entry("unet"), device="cpu")
    [answer] = predictor.predict(Still(), Plane("k", 0), [PromptSet()])
    [again] = predictor.predict(Still(), Plane("k", 0), [PromptSet()])
    assert answer.mask.shape == (40, 90) and 0 < answer.score < 1
    assert again.timings["cached"] == 1 and (again.mask == answer.mask).all()


@pytest.mark.parametrize("side", [0, 32, 100, SMALLEST + 1])
def test_a_side_it_cannot_halve_five_times_is_refused(side):
    with pytest.raises(ModelError, match="multiple of 32"):
        build("unet", side)


def test_drawn_prompts_are_refused():
    recipe = Recipe.of({"model": "unet", "datasets": {"a": 1}, "steps": 1, "drawn_prompts": True})
    with pytest.raises(ModelError, match="no prompts"):
        starting_network(recipe)


def test_its_recipe_is_the_minis_but_for_the_prompts(project_root, tmp_path):
    unet = Recipe.read(project_root / "training" / "unet.yaml")
    mini = TrainingPlan.read(project_root / "training" / "default.yaml").recipe("default", tmp_path)
    assert unet.datasets == mini.datasets and unet.batch == mini.batch
    assert unet.objective == "auto" and not unet.synthetic and not unet.pseudo
