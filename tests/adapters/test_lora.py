"""LoRA on every kind of encoder: starts at its base, trains what it should."""

from copy import deepcopy

import pytest
import torch

from uniultra.adapters import lora
from uniultra.adapters.registry import matches
from uniultra.errors import ModelError
from uniultra.networks.sam2_image import HIERA, Sam2Image
from uniultra.networks.sam_image import SamImage
from uniultra.networks.sam_vit import SamVit, VitSize
from uniultra.networks.tiny_vit import TinyVitEncoder

SIDE = 64
ENCODERS = {
    "hiera": lambda: Sam2Image(HIERA["mini"], SIDE),
    "vit": lambda: SamImage(
        SamVit(SIDE, VitSize(width=32, depth=2, heads=2, global_blocks=(1,), window=3)), SIDE, 4
    ),
    "tiny": lambda: SamImage(TinyVitEncoder(), SIDE, 4),
}
BOTH = lora.LoRAConfig(rank=2, alpha=3, targets=("attn.qkv", "attn.proj"))


@pytest.fixture(params=ENCODERS)
def network(request):
    torch.manual_seed(0)
    return ENCODERS[request.param]().eval()


@pytest.fixture
def picture():
    return torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def moved(network):
    for layer in network.image_encoder.lora.layers:
        torch.nn.init.normal_(layer.b.weight, std=0.1)
    return network


@torch.no_grad()
def test_starts_at_its_base_and_moves_from_it(network, picture):
    base = network.encode(picture).image
    lora.inject(network, BOTH)
    assert torch.equal(network.encode(picture).image, base)
    adapted = moved(network).encode(picture).image
    assert not torch.allclose(adapted, base, atol=1e-3)
    assert torch.equal(deepcopy(network).encode(picture).image, adapted)


def test_only_updates_prompt_encoder_and_decoder_learn(network, picture):
    moved(lora.inject(network, BOTH))
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(matches(name, lora.KIND.trains))
    network.train()
    logits, _ = network.decode(network.encode(picture), torch.rand(2, 1, 2) * SIDE, torch.ones(2, 1))
    logits.square().mean().backward()
    learning = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert {name for name in learning if name.startswith("image_encoder.")} == {
        name for name, _ in network.named_parameters() if ".lora." in name
    }
    assert any(name.startswith("sam_mask_decoder.") for name in learning)


def test_the_update_is_scaled_by_alpha_over_rank(picture):
    network = ENCODERS["hiera"]().eval()
    linear = network.image_encoder.trunk.blocks[0].attn.qkv
    tokens = torch.randn(5, linear.in_features)
    with torch.no_grad():
        before = linear(tokens)
        layer = moved(lora.inject(network, lora.LoRAConfig(rank=2, alpha=3))).image_encoder.lora.layers[0]
        wanted = before + 1.5 * tokens @ layer.a.weight.T @ layer.b.weight.T
        torch.testing.assert_close(linear(tokens), wanted)


@pytest.mark.parametrize("targets", [("attn.qvk",), ("attn.qkv", "kv"), ()])
def test_targets_that_are_not_there_are_refused(targets):
    with pytest.raises(ModelError, match=r"attn\.qkv"):
        lora.inject(ENCODERS["hiera"](), lora.LoRAConfig(targets=targets))


def test_settings_from_yaml_equal_those_in_code():
    assert lora.LoRAConfig(targets=["attn.qkv"]) == lora.LoRAConfig()
