"""LRAdapters: the paper's counts, its formula in the order that multiplies, and frozen batch norms."""

from copy import deepcopy

import pytest
import torch
from torch.nn import functional as F

from uniultra.adapters import lr
from uniultra.adapters.registry import matches
from uniultra.errors import ModelError
from uniultra.models import build, entry
from uniultra.models.factory import trained
from uniultra.train.objective import recompute_blocks


def added(config):
    with torch.device("meta"):
        network = lr.inject(build("mobile_sam", 64), config)
    return sum(p.numel() for p in network.image_encoder.lr_adapters.parameters())


def moved(network):
    """Ends away from zero, so that every part has a say."""
    for layer in network.image_encoder.lr_adapters.layers.values():
        torch.nn.init.normal_(layer.u_up.weight, std=0.1)
    return network


@pytest.mark.parametrize(("k", "published"), [(4, 17_856), (8, 35_712), (16, 71_424), (32, 142_848)])
def test_the_papers_table(k, published):
    assert added(lr.paper_table(k)) == published


@pytest.mark.parametrize(
    ("config", "parameters"),
    [(lr.LRConfig(), 148_480), (lr.LRConfig(r_div=8), 133_632), (lr.LRConfig(per_block="attn"), 74_240)],
)
def test_counts_of_the_placement_in_the_text(config, parameters):
    assert added(config) == parameters


@pytest.mark.parametrize("name", ["lgmedseg", "lgmedseg_sam2"])
def test_the_adapted_network_starts_at_its_base(name):
    torch.manual_seed(0)
    base = build(entry(name).base, 64).eval()
    picture = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = base.encode(picture)
        adapted = lr.inject(base, lr.LRConfig(include_mbconv=True))
        assert torch.equal(adapted.encode(picture).image, before.image)
        assert not torch.equal(moved(adapted).encode(picture).image, before.image)


def test_the_formula():
    torch.manual_seed(0)
    adapter = lr.LRAdapter(32, lr.LRConfig(k=3))
    torch.nn.init.normal_(adapter.u_up.weight)
    u_up, v_up, u_down, v_down = (
        layer.weight for layer in (adapter.u_up, adapter.v_up, adapter.u_down, adapter.v_down)
    )
    assert (
        u_up.shape == (32, 3) and v_up.shape == (3, 8) and u_down.shape == (8, 3) and v_down.shape == (3, 32)
    )
    x = torch.randn(32)
    torch.testing.assert_close(adapter(x), u_up @ v_up @ F.gelu(u_down @ v_down @ x))


@pytest.mark.parametrize("place", ["attn", "mlp"])
def test_an_adapter_reads_the_blocks_own_norm(place):
    torch.manual_seed(0)
    network = build("mobile_sam", 64).eval()
    part = network.image_encoder.stages[1].blocks[0].get_submodule(place)
    torch.nn.init.normal_(part.norm.weight)
    tokens = torch.randn(2, 49, 128)
    with torch.no_grad():
        before = part(tokens)
        moved(lr.inject(network, lr.LRConfig(per_block=place, scale=0.5)))
        adapter = network.image_encoder.lr_adapters.layers[f"1_0_{place}"]
        torch.testing.assert_close(part(tokens), before + 0.5 * adapter(part.norm(tokens)))


def test_only_adapters_learn_and_all_of_them():
    torch.manual_seed(0)
    network = moved(build("lgmedseg", 64, lr.LRConfig(include_mbconv=True)))
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(matches(name, trained(entry("lgmedseg"))))
    embedding = network.train().encode(torch.randn(2, 3, 64, 64))
    network.decode(embedding, torch.rand(2, 1, 2) * 64, torch.ones(2, 1))[0].square().mean().backward()
    learning = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert learning == {name for name, _ in network.named_parameters() if ".lr_adapters." in name}
    assert len(learning) == 4 * 22


@pytest.mark.parametrize(("name", "moves"), [("mobile_sam", True), ("lgmedseg", False)])
def test_batch_norms_stay_frozen_beside_adapters(name, moves):
    torch.manual_seed(0)
    network = build(name, 64).eval().train()
    before = {key: value.clone() for key, value in network.named_buffers() if "running" in key}
    network.encode(torch.randn(2, 3, 64, 64))
    after = dict(network.named_buffers())
    assert before and any(not torch.equal(value, after[key]) for key, value in before.items()) == moves
    assert network.image_encoder.stages[1].blocks[0].training


def test_a_copy_adapts_itself_not_the_original():
    torch.manual_seed(0)
    network = build("lgmedseg", 64).train()
    twin = moved(deepcopy(network)).train()
    picture = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert not torch.equal(network.encode(picture).image, twin.encode(picture).image)
    assert not any(m.training for m in twin.modules() if isinstance(m, torch.nn.BatchNorm2d))


def test_recomputed_blocks_give_the_same_gradients():
    torch.manual_seed(0)
    network = moved(build("lgmedseg", 64, lr.LRConfig(include_mbconv=True))).requires_grad_(False).train()
    network.image_encoder.lr_adapters.requires_grad_()
    picture = torch.randn(1, 3, 64, 64)

    def gradients(of):
        of.encode(picture).image.square().mean().backward()
        return [p.grad for p in of.image_encoder.lr_adapters.parameters()]

    twin = deepcopy(network)
    assert recompute_blocks(twin) == 12
    for plain, recomputed in zip(gradients(network), gradients(twin), strict=True):
        torch.testing.assert_close(plain, recomputed)


def test_another_encoder_is_refused():
    with pytest.raises(ModelError, match="TinyViT"):
        lr.inject(build("sam2_mini", 64))
