"""SAMUS's port onto Hiera: closed-form counts, a start at the base, the described forward, any side."""

from copy import deepcopy
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from training_checks import check_a_few_steps_reach_everything, gradients

from uniultra.adapters.samus_hiera import KIND, SAMUSHieraConfig, inject
from uniultra.errors import ModelError
from uniultra.models.counting import count
from uniultra.networks.sam2_image import HIERA, HieraSize, Sam2Image
from uniultra.networks.sam_image import build_sam
from uniultra.networks.sam_vit import VitSize

ADAPTERS = {"mini": 254_156, "t": 7_358_264, "s": 7_358_264, "b": 9_665_468, "l": 15_275_972}
CONFIGS = [
    SAMUSHieraConfig(),
    SAMUSHieraConfig(taps=False, positions=True),
    SAMUSHieraConfig(depthwise=True, positions=True),
]


def closed_form(size: str) -> int:
    """W is the width of stage 3, C that of the stem; three global blocks."""
    c, w = HIERA[size].width, 4 * HIERA[size].width
    first = min(32, w // 8)
    widths = [3, first, 2 * first, 4 * first, 8 * first, w]
    stem = sum(9 * a * b + 2 * b for a, b in pairwise(widths))
    cross = 3 * (4 * w * w + 4 * w)
    refine = 3 * (9 * w * w + 2 * w)
    parallel = 3 * (w * w // 2 + w // 4 + w)
    token = 2 * c * (c // 4) + c // 4 + c
    taps = (4 * first + 1) * 256 + (8 * first + 1) * 256
    return stem + cross + refine + parallel + token + taps


def mini(config=None, side=64):
    torch.manual_seed(0)
    network = Sam2Image(HIERA["mini"], side)
    return network if config is None else inject(network, config)


def pyramid(network, pictures):
    return network.image_encoder(pictures)["backbone_fpn"]


@pytest.mark.parametrize("size", ADAPTERS)
def test_counts_equal_the_closed_form(size):
    counts, base = count(f"samus_{size}"), count(f"sam2_{size}")
    assert counts.parameters_adapter == ADAPTERS[size] == closed_form(size)
    assert counts.parameters_trained == counts.parameters_adapter
    assert counts.parameters_total == base.parameters_total + ADAPTERS[size]


def test_switches_count_what_they_say():
    def adapters(config):
        return sum(p.numel() for p in mini(config).image_encoder.samus.parameters())

    full = adapters(SAMUSHieraConfig())
    assert full == ADAPTERS["mini"]
    assert full - adapters(SAMUSHieraConfig(taps=False)) == (32 + 1) * 256 + (64 + 1) * 256
    assert adapters(SAMUSHieraConfig(positions=True)) - full == 16 * (7 * 7 + 8 * 8)
    assert full - adapters(SAMUSHieraConfig(depthwise=True)) == 3 * (9 * 64 * 64 - 64 * 64 - 9 * 64)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("side", [64, 96, 256])
def test_it_starts_at_its_base_at_any_side(config, side):
    network = mini(side=side).eval()
    pictures = torch.randn(2, 3, side, side)
    with torch.no_grad():
        before = pyramid(network, pictures)
        after = pyramid(inject(network, config), pictures)
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
        logits, _ = network.decode(network.encode(pictures), torch.rand(2, 1, 2) * side, torch.ones(2, 1))
    assert logits.shape == (2, 1, side // 4, side // 4)
    assert not network.image_encoder.samus._maps and not network.image_encoder.samus._levels


def test_every_end_moves_it():
    network = mini(SAMUSHieraConfig(positions=True)).eval()
    added = network.image_encoder.samus
    pictures = torch.randn(1, 3, 64, 64)
    ends = [added.input.up, *(layer.out for layer in added.cross)]
    ends += [layer.up for layer in added.parallel]
    with torch.no_grad():
        before = pyramid(network, pictures)

        def moved(parameter):
            nn.init.normal_(parameter)
            after = pyramid(network, pictures)
            nn.init.zeros_(parameter)
            return [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]

        for end in ends:
            assert moved(end.weight)[2]
        assert moved(added.refine[-1].norm.weight) == [False, False, True]  # merged before the neck only
        assert moved(added.taps[0].weight) == [True, False, False]
        assert moved(added.taps[1].weight) == [False, True, False]
        assert all(moved(added.position_grid)) and all(moved(added.position_window))


def reference(network, pictures):
    """The encoder with the port written out; `forward` goes past the hooks."""
    trunk, neck, added = (network.image_encoder.get_submodule(n) for n in ("trunk", "neck", "samus"))
    levels = [added.stem.layers[0](pictures)]
    for layer in added.stem.layers[1:]:
        levels.append(layer(F.max_pool2d(levels[-1], 2)))
    c, used, outputs = levels[-1], 0, []
    x = trunk.patch_embed.forward(pictures)
    x = x + added.input.up(F.gelu(added.input.down(x)))
    # Correcting Hiera's own tensors and correcting what they become is the same.
    twin = deepcopy(trunk)
    with torch.no_grad():
        twin.pos_embed += added.position_grid
        twin.pos_embed_window += added.position_window
    x = x + twin._get_pos_embed(x.shape[1:3])
    for i, block in enumerate(trunk.blocks):
        if i in trunk.global_att_blocks:
            u = block.norm1(x)
            u = u + added.cross[used](u, c)
            x = x + block.attn.forward(u)
            z = block.norm2(x)
            adapter = added.parallel[used]
            x = x + block.mlp.forward(z) + 0.5 * adapter.up(F.gelu(adapter.down(z)))
            c = added.refine[used](c)
            used += 1
        else:
            x = block(x)
        if i in trunk.stage_ends:
            outputs.append(x.permute(0, 3, 1, 2))
    outputs[2] = outputs[2] + 0.5 * c
    fine, finer, image, _ = neck.forward(outputs)[0]
    return fine + added.taps[0](levels[2]), finer + added.taps[1](levels[3]), image


def test_the_forward_is_the_described_one():
    network = mini(SAMUSHieraConfig(positions=True)).eval()
    pictures = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        for parameter in network.image_encoder.samus.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        answer, expected = pyramid(network, pictures), reference(network, pictures)
        for a, b in zip(answer, expected, strict=True):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("config", CONFIGS)
def test_a_few_steps_reach_every_trained_parameter(config):
    network, levels = mini(config), partial(pyramid, pictures=torch.randn(2, 3, 64, 64))
    reached = check_a_few_steps_reach_everything(network, KIND.trains, levels)
    assert reached == len(list(network.image_encoder.samus.parameters()))


def test_checkpointed_blocks_give_the_same_gradients_and_a_copy_is_its_own():
    network = mini(SAMUSHieraConfig())
    pictures = torch.randn(1, 3, 64, 64)
    for parameter in network.image_encoder.samus.parameters():
        with torch.no_grad():
            parameter.add_(0.05 * torch.randn_like(parameter))
    levels = partial(pyramid, pictures=pictures)
    plain = gradients(network, KIND.trains, levels)
    twin = deepcopy(network)
    for block in twin.image_encoder.trunk.blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    for name, gradient in gradients(twin, KIND.trains, levels).items():
        torch.testing.assert_close(gradient, plain[name], msg=name)
    with torch.no_grad():
        before = network.encode(pictures).image
        nn.init.zeros_(twin.image_encoder.samus.refine[-1].norm.weight)
        assert torch.equal(network.encode(pictures).image, before)
        assert not torch.equal(twin.encode(pictures).image, before)


def test_other_encoders_are_refused():
    with pytest.raises(ModelError, match="Hiera trunk"):
        inject(build_sam(64, size=VitSize(width=24, depth=2, heads=2, global_blocks=(1,))))
    with pytest.raises(ModelError, match="stage 3"):
        inject(Sam2Image(HieraSize(16, 1, (1, 2, 7, 2), (3, 5, 7)), 64))
