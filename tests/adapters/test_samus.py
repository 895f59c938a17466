"""SAMUS is the published network: counts, forward, what it trains; and it can start at its base."""

import math
from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from training_checks import check_a_few_steps_reach_everything, gradients

from uniultra.adapters.cross_branch import CrossAttention
from uniultra.adapters.registry import matches
from uniultra.adapters.samus import KIND, SAMUSConfig, inject
from uniultra.errors import ModelError
from uniultra.metrics.cost import count_work
from uniultra.models import build
from uniultra.networks.sam2_image import HIERA, Sam2Image
from uniultra.networks.sam_image import build_sam
from uniultra.networks.sam_vit import VitSize

NARROW = VitSize(width=24, depth=3, heads=2, global_blocks=(1, 2))
TRAINS = (".samus.", ".blocks.1.attn.rel_pos_", ".blocks.2.attn.rel_pos_")
PAPER, BASE = SAMUSConfig(start="paper"), SAMUSConfig()


def narrow(config=None, side=64):
    """A narrow SAM with overlapped patches, adapted when there is a `config`; its tables are not zero."""
    torch.manual_seed(0)
    network = build_sam(side, size=NARROW, overlapped=True)
    for name, parameter in network.named_parameters():
        if "rel_pos" in name:
            nn.init.normal_(parameter, std=0.2)
    return network if config is None else inject(network, config)


def shake(module):
    """Move every parameter off its start."""
    for parameter in module.parameters():
        with torch.no_grad():
            parameter.add_(0.05 * torch.randn_like(parameter))


def embedding_of(pictures):
    return lambda network: [network.encode(pictures).image]


@pytest.mark.parametrize(("depthwise", "refine"), [(False, 21_239_808), (True, 2_393_088)])
def test_counts_of_every_part(depthwise, refine):
    with torch.device("meta"):
        network = build("samus", config=SAMUSConfig(depthwise=depthwise))
    added = network.image_encoder.samus
    expected = {
        "stem": 2_142_272,
        "refine": refine,
        "cross": 4 * (4 * 768 * 768 + 4 * 768),
        "parallel": 1_183_488,
        "input": 295_872,
        "position": 5_309_952,
    }
    found = {name: sum(p.numel() for p in part.parameters()) for name, part in added.named_children()}
    assert found == expected
    trained = sum(p.numel() for name, p in network.named_parameters() if matches(name, KIND.trains))
    assert trained == sum(expected.values()) + 32_256


def test_work_is_the_measured_one_of_the_release():
    with torch.device("meta"):
        work = count_work(build("samus"), "point")
    assert work.gmac_encode == pytest.approx(162.7, abs=0.05)
    assert work.gmac_encode + work.gmac_decode == pytest.approx(163.2, abs=0.05)


def test_cross_attention_equals_torchs():
    torch.manual_seed(0)
    layer = CrossAttention(24, 3)
    tokens, features = torch.randn(2, 4, 4, 24), torch.randn(2, 24, 4, 4)
    keys = features.flatten(2).permute(2, 0, 1)
    expected, _ = F.multi_head_attention_forward(
        tokens.flatten(1, 2).transpose(0, 1),
        keys,
        keys,
        embed_dim_to_check=24,
        num_heads=3,
        in_proj_weight=torch.cat([layer.q.weight, layer.k.weight, layer.v.weight]),
        in_proj_bias=torch.cat([layer.q.bias, layer.k.bias, layer.v.bias]),
        bias_k=None,
        bias_v=None,
        add_zero_attn=False,
        dropout_p=0.0,
        out_proj_weight=layer.out.weight,
        out_proj_bias=layer.out.bias,
    )
    answer = layer(tokens, features)
    torch.testing.assert_close(answer.flatten(1, 2), expected.transpose(0, 1), atol=1e-5, rtol=1e-4)


def attend(attention, tokens):
    """SAM's attention on a square grid `(B,g,g,D)`, one pair of places after the other for the tables."""
    batch, grid, _, width = tokens.shape
    heads = attention.num_heads
    qkv = attention.qkv(tokens.reshape(batch, grid * grid, width))
    q, k, v = qkv.view(batch, grid * grid, 3, heads, -1).permute(2, 0, 3, 1, 4)
    scores = q @ k.transpose(-1, -2) / math.sqrt(width // heads)
    place = torch.arange(grid * grid)
    rows, columns = place // grid, place % grid
    apart_h = attention.rel_pos_h[rows[:, None] - rows[None] + grid - 1]
    apart_w = attention.rel_pos_w[columns[:, None] - columns[None] + grid - 1]
    scores = scores + torch.einsum("bhqc,qkc->bhqk", q, apart_h + apart_w)
    answer = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, grid, grid, width)
    return attention.proj(answer)


def reference(network, pictures, start):
    """The whole encoder written out; `forward` goes past the hooks."""
    encoder, added = network.image_encoder, network.image_encoder.samus
    grid = pictures.shape[-1] // 8

    def conv_norm(part, x):
        x = F.conv2d(x, part.conv.weight, padding=1)
        x = F.layer_norm(x.movedim(1, -1), x.shape[1:2], part.norm.weight, part.norm.bias, 1e-6)
        return F.gelu(x).movedim(-1, 1)

    def bottleneck(part, x):
        return part.up(F.gelu(part.down(x)))

    enlarged = F.interpolate(pictures, scale_factor=(8 * grid + 8) / (8 * grid), mode="bilinear")
    projection = encoder.patch_embed.proj
    x = F.conv2d(enlarged, projection.weight, projection.bias, stride=8).movedim(1, -1)
    x = x + bottleneck(added.input, x)
    pooled = encoder.pos_embed[0].reshape(grid, 64 // grid, grid, 64 // grid, -1).amax((1, 3))[None]
    moved = conv_norm(added.position, pooled.movedim(-1, 1)).movedim(1, -1)
    x = x + (moved if start == "paper" else pooled + moved)

    c = conv_norm(added.stem.layers[0], pictures)
    for layer in added.stem.layers[1:]:
        c = conv_norm(layer, F.max_pool2d(c, 2))
    used = 0
    for i, block in enumerate(encoder.blocks):
        u = block.norm1(x)
        if i in encoder.size.global_blocks:
            u = u + added.cross[used](u, c)
            c = conv_norm(added.refine[used], c)
            x = x + attend(block.attn, u)
            z = block.norm2(x)
            x = x + block.mlp.forward(z) + 0.5 * bottleneck(added.parallel[used], z)
            used += 1
        else:  # one window of 14x14 holds this small grid, padded below and to the right
            rest = 14 - grid
            x = x + attend(block.attn, F.pad(u, (0, 0, 0, rest, 0, rest)))[:, :grid, :grid]
            x = x + block.mlp.forward(block.norm2(x))
    return encoder.neck.forward((x + 0.5 * c.movedim(1, -1)).movedim(-1, 1))


@pytest.mark.parametrize("config", [PAPER, BASE])
def test_the_forward_is_the_described_one(config):
    network = narrow(config).eval()
    shake(network.image_encoder)
    pictures = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = reference(network, pictures, config.start)
        torch.testing.assert_close(network.encode(pictures).image, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("depthwise", [False, True])
def test_it_starts_at_its_base_and_every_end_moves_it(depthwise):
    network = narrow().eval()
    pictures = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        before = network.encode(pictures).image
        inject(network, SAMUSConfig(depthwise=depthwise))
        assert torch.equal(network.encode(pictures).image, before)
        added = network.image_encoder.samus
        ends = [added.input.up, added.position.norm, added.refine[-1].norm]
        ends += [layer.out for layer in added.cross] + [layer.up for layer in added.parallel]
        for end in ends:
            nn.init.normal_(end.weight)
            assert not torch.equal(network.encode(pictures).image, before)
            nn.init.zeros_(end.weight)
    with torch.no_grad():
        assert not torch.equal(narrow(PAPER).encode(pictures).image, before)


@pytest.mark.parametrize("config", [PAPER, BASE, SAMUSConfig(depthwise=True)])
def test_a_few_steps_reach_every_trained_parameter_and_no_other(config):
    network = narrow(config)
    pictures = torch.rand(2, 3, 64, 64)
    frozen = {n: p.detach().clone() for n, p in network.named_parameters() if not matches(n, TRAINS)}
    assert frozen and not any("samus" in name for name in frozen)
    check_a_few_steps_reach_everything(network, TRAINS, embedding_of(pictures))
    assert all(torch.equal(network.get_parameter(name), was) for name, was in frozen.items())


def test_checkpointed_blocks_give_the_same_gradients():
    network = narrow(PAPER)
    pictures = torch.rand(2, 3, 64, 64)
    plain = gradients(network, TRAINS, embedding_of(pictures))
    for block in network.image_encoder.blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    for name, gradient in gradients(network, TRAINS, embedding_of(pictures)).items():
        torch.testing.assert_close(gradient, plain[name], msg=name)


def test_a_copy_made_while_training_is_its_own():
    network = narrow(PAPER)
    pictures = torch.rand(1, 3, 64, 64)
    before = network.encode(pictures).image
    twin = deepcopy(network)
    shake(twin.image_encoder.samus)
    assert torch.equal(network.encode(pictures).image, before)
    assert not torch.equal(twin.encode(pictures).image, before)


def test_nothing_of_a_picture_is_kept_after_prediction():
    network = narrow()
    kept = network.state_dict().keys()
    inject(network)
    with torch.no_grad():
        network.encode(torch.rand(1, 3, 64, 64))
    assert not network.image_encoder.samus._maps and not network.image_encoder.samus._levels
    assert {n for n in network.state_dict() if ".samus." not in n} == set(kept)


@pytest.mark.parametrize("side", [64, 512])
def test_the_position_adapter_has_one_size_at_every_side(side):
    with torch.device("meta"):
        network = build_sam(side, size=NARROW, overlapped=True)
        inject(network)
    assert sum(p.numel() for p in network.image_encoder.samus.position.parameters()) == 9 * 24 * 24 + 48


def test_other_encoders_are_refused():
    for network in (build_sam(64, size=NARROW), Sam2Image(HIERA["mini"], 64)):
        with pytest.raises(ModelError, match="sam_b_overlap"):
            inject(network)
