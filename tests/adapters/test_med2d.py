"""SAM-Med2D's adapter: counts, the published forward, and a start at the base."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from training_checks import check_a_few_steps_reach_everything

from uniultra.adapters.med2d import Med2DAdapter, Med2DConfig, inject
from uniultra.errors import ModelError
from uniultra.networks.sam2_image import HIERA, Sam2Image
from uniultra.networks.sam_image import build_sam
from uniultra.networks.sam_vit import VitSize

NARROW = VitSize(width=24, depth=3, heads=2, global_blocks=(1, 2), window=4)
PAPER = Med2DConfig(start="paper")


def test_the_adapter_is_the_described_one():
    torch.manual_seed(0)
    adapter = Med2DAdapter(8, PAPER)
    tokens = torch.randn(2, 36, 8)
    x = tokens.view(2, 6, 6, 8).permute(0, 3, 1, 2)
    first, second = adapter.channel[0].weight, adapter.channel[2].weight
    gate = torch.sigmoid(F.relu(F.adaptive_avg_pool2d(x, 1).flatten(1) @ first.T) @ second.T)
    y = F.relu(F.conv2d(x * gate[..., None, None], adapter.spatial[0].weight, stride=2, padding=1))
    assert y.shape == (2, 8, 3, 3)
    y = x + F.relu(F.conv_transpose2d(y, adapter.spatial[2].weight, stride=2, padding=1))
    y = y.permute(0, 2, 3, 1).reshape(2, 36, 8)
    expected = (y - y.mean(-1, keepdim=True)) / (y.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(adapter(tokens), expected, atol=1e-5, rtol=1e-4)


def test_it_stands_beside_the_mlp():
    torch.manual_seed(0)
    network = build_sam(64, size=NARROW)
    block = network.image_encoder.blocks[1]
    tokens = torch.randn(2, 4, 4, 24)
    with torch.no_grad():
        plain = block(tokens)
        inject(network, PAPER)
        attended = tokens + block.attn(block.norm1(tokens))
        adapter = network.image_encoder.med2d.layers[1]
        added = adapter(block.norm2(attended).flatten(1, 2)).view_as(tokens)
        torch.testing.assert_close(block(tokens), plain + added, atol=1e-5, rtol=1e-4)


def test_it_starts_at_its_base_unless_told_otherwise():
    torch.manual_seed(0)
    network = build_sam(64, size=NARROW).eval()
    published = deepcopy(network)
    pictures = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = network.encode(pictures).image
        assert torch.equal(inject(network).encode(pictures).image, before)
        assert not torch.equal(inject(published, PAPER).encode(pictures).image, before)
        # The same forward: the same weights give the same answer, whatever the start.
        network.load_state_dict(published.state_dict())
        assert torch.equal(network.encode(pictures).image, published.encode(pictures).image)
        twin = deepcopy(network)
        nn.init.zeros_(twin.image_encoder.med2d.layers[0].norm.weight)
        assert not torch.equal(twin.encode(pictures).image, network.encode(pictures).image)


@pytest.mark.parametrize("config", [PAPER, Med2DConfig()])
def test_a_few_steps_reach_every_adapter_parameter(config):
    torch.manual_seed(0)
    network = inject(build_sam(64, size=NARROW), config)
    pictures = torch.randn(2, 3, 64, 64)
    reached = check_a_few_steps_reach_everything(network, (".med2d.",), lambda n: [n.encode(pictures).image])
    assert reached == 3 * 6


def test_other_encoders_and_odd_grids_are_refused():
    with pytest.raises(ModelError, match="sam_b_256"):
        inject(Sam2Image(HIERA["mini"], 64))
    with pytest.raises(ModelError, match="even token grid"):
        inject(build_sam(48, size=NARROW))
