"""TinyViT-5M is MobileSAM's: counts, cost, shapes at any side, and no stale attention biases."""

from copy import deepcopy

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from uniultra.errors import ModelError
from uniultra.models import build, entry
from uniultra.networks.tiny_vit import TinyVitEncoder, TinyVitPyramid


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return TinyVitEncoder().eval()


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_counts(encoder):
    class_head = 2 * 320 + 320 * 1000 + 1000  # of the published file, norm and linear; unused
    assert parameters(encoder) == 5_743_892
    assert parameters(encoder) + class_head == 6_065_532
    assert (entry("mobile_sam").fit, entry("mobile_sam").image_size) == ("pad", 1024)


@pytest.mark.parametrize(("side", "gmac"), [(256, 3.03), (1024, 38.8)])
def test_cost(side, gmac):
    network = TinyVitEncoder().to("meta").eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, side, side, device="meta"))
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmac, rel=0.002)


@pytest.mark.parametrize("side", [64, 96, 224])
def test_shapes_at_any_side(encoder, side):
    picture = torch.randn(1, 3, side, side)
    with torch.no_grad():
        shapes = [tuple(f.shape[1:]) for f in encoder.features(picture)]
        assert shapes == [
            (64, side // 4, side // 4),
            (128, side // 8, side // 8),
            (160, side // 16, side // 16),
            (320, side // 16, side // 16),
        ]
        assert encoder(picture).shape == (1, 256, side // 16, side // 16)


@pytest.mark.parametrize("name", ["mobile_sam", "sam2_tinyvit"])
@pytest.mark.parametrize("side", [0, -64, 100])
def test_other_sides_are_refused(name, side):
    with pytest.raises(ModelError, match="multiple of 32"):
        build(name, side)


def test_the_pyramid_carries_sam2s_decoder():
    network = build("sam2_tinyvit", 64).eval()
    encoder = network.image_encoder
    assert parameters(encoder) == 5_071_124 + (64 + 128 + 160 + 320) * 256 + 4 * 256
    with torch.no_grad():
        levels = encoder(torch.randn(1, 3, 64, 64))["backbone_fpn"]
        assert [tuple(level.shape[1:]) for level in levels] == [(256, 16, 16), (256, 8, 8), (256, 4, 4)]


def test_both_stages_at_a_sixteenth_reach_the_lowest_level():
    torch.manual_seed(0)
    pyramid = TinyVitPyramid().eval()
    picture = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        _, _, third, last = pyramid.features(picture)
        wanted = pyramid.laterals[2](third) + pyramid.laterals[3](last)
        assert torch.equal(pyramid(picture)["backbone_fpn"][2], wanted)


def test_new_attention_biases_are_seen_in_eval_mode(encoder):
    network, picture = deepcopy(encoder), torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        before = network(picture)
    state = network.state_dict()
    name = "stages.1.blocks.0.attn.attention_biases"
    state[name] = torch.randn_like(state[name])
    network.load_state_dict(state)
    after = network(picture)  # with gradients: what inference mode kept could not be saved for them
    after.sum().backward()
    assert not torch.equal(before, after.detach())
    assert network.get_parameter(name).grad.any()
    deepcopy(network)  # a kept bias in a graph could not be copied
