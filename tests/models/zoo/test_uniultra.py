"""The network is the published one: counts, shapes, and a start exactly at its base."""

from copy import deepcopy

import pytest
import torch

from uniultra.adapters import ch
from uniultra.errors import ModelError
from uniultra.models import build, entry, names, registry
from uniultra.models.counting import count
from uniultra.networks.sam2_image import HIERA, Sam2Image

ADAPTERS = {"mini": 37_352, "t": 1_180_252, "s": 1_484_764, "b": 2_968_900, "l": 9_071_932}


def closed_form(size: str) -> int:
    """Context D^2/2 + 5D/4 and edge 5D for every block, and 36 C0 + 4 once (r = 4)."""
    shape = HIERA[size]
    widths = [shape.width << stage for stage, blocks in enumerate(shape.stages) for _ in range(blocks)]
    return sum(d * d // 2 + 5 * d // 4 + 5 * d for d in widths) + 36 * shape.width + 4


@pytest.mark.parametrize("size", ADAPTERS)
def test_adapter_counts_equal_the_closed_form(size):
    assert count(f"uniultra_{size}").parameters_adapter == ADAPTERS[size] == closed_form(size)


def test_counting_without_memory_equals_counting_the_real_thing():
    real = sum(p.numel() for p in build("uniultra_mini").parameters())
    assert count("uniultra_mini").parameters_total == real


@pytest.mark.parametrize("edge", ["magnitude", "concat"])
def test_an_adapted_trunk_starts_at_its_base(edge):
    torch.manual_seed(0)
    model = Sam2Image(HIERA["mini"], 64).eval()
    picture = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = model.encode(picture)
        adapters = ch.inject(model, ch.CHAdapterConfig(edge=edge)).image_encoder.trunk.ch_adapters
        after = model.encode(picture)
        assert torch.equal(before.image, after.image)
        assert all(torch.equal(a, b) for a, b in zip(before.high, after.high, strict=True))
        torch.nn.init.normal_(adapters.layers[0].edge.weight)
        assert not torch.equal(model.encode(picture).image, before.image)


def test_every_adapter_part_learns_once_the_ends_have_moved():
    torch.manual_seed(0)
    model = Sam2Image(HIERA["mini"], 64)
    adapters = ch.inject(model).image_encoder.trunk.ch_adapters
    for layer in adapters.layers:
        torch.nn.init.normal_(layer.up.weight, std=0.1)
        torch.nn.init.normal_(layer.edge.weight, std=0.1)
    # A flat picture has no edges at all: the root's gradient must stay finite there.
    embedding = model.encode(torch.cat([torch.zeros(1, 3, 64, 64), torch.randn(1, 3, 64, 64)]))
    sum(t.square().mean() for t in (embedding.image, *embedding.high)).backward()
    for name, parameter in adapters.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name


def test_edges_are_found_where_they_are():
    """Height and width are not swapped: a horizontal line excites rows, not columns."""
    adapter = ch.CHAdapter(8, ch.CHAdapterConfig())
    torch.nn.init.constant_(adapter.edge.weight, 1.0)
    edge_map = torch.zeros(1, 4, 16, 12)
    edge_map[:, :, 5] = 1
    answer = adapter(torch.zeros(1, 16, 12, 8), edge_map)[0, :, 2:-2].abs().sum((1, 2))
    assert answer[4] > 5 * answer[12] and answer[6] > 5 * answer[12]


def test_a_copy_adapts_itself_not_the_original():
    model = build("uniultra_mini", 64).eval()
    twin = deepcopy(model)
    torch.nn.init.normal_(twin.image_encoder.trunk.ch_adapters.layers[0].up.weight)
    picture = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert not torch.equal(model.encode(picture).image, twin.encode(picture).image)


@pytest.mark.parametrize("side", [64, 96, 256])
def test_any_side_that_is_a_multiple_of_32(side):
    model = build("uniultra_mini", side).eval()
    with torch.no_grad():
        embedding = model.encode(torch.randn(1, 3, side, side))
        assert embedding.image.shape == (1, 256, side // 16, side // 16)
        assert embedding.high[0].shape == (1, 32, side // 4, side // 4)
        assert embedding.high[1].shape == (1, 64, side // 8, side // 8)
        coords, labels = torch.rand(3, 2, 2) * side, torch.ones(3, 2)
        for multimask, masks in ((False, 1), (True, 3)):
            logits, iou = model.decode(embedding, coords, labels, None, multimask)
            assert logits.shape == (3, masks, side // 4, side // 4) and iou.shape == (3, masks)


@pytest.mark.parametrize("side", [0, -32, 100, 1000])
def test_other_sides_are_refused(side):
    with pytest.raises(ModelError, match="multiple of 32"):
        build("uniultra_mini", side)


def test_the_registry_names_what_it_knows():
    assert "uniultra_mini" in names()
    with pytest.raises(ModelError, match="uniultra_mini"):
        entry("nope")
    assert entry("uniultra_mini.breast").base == "sam2_mini"
    for wrong in ("uniultra_mini.", "uniultra_mini.a/b", "uniultra_mini..", ".breast"):
        with pytest.raises(ModelError, match=r"NAME\.TASK"):
            entry(wrong)
    with pytest.raises(ModelError, match="already"):
        registry.register(entry("uniultra_mini"))
