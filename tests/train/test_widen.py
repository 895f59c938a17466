"""A wider trunk answers as the narrow one did, and its copies part ways."""

import pytest
import torch

from uniultra.errors import ModelError
from uniultra.models import build
from uniultra.prompts.raster import CHANNELS
from uniultra.train.widen import grown

SIDE = 64


@pytest.fixture(scope="module")
def narrow():
    torch.manual_seed(0)
    network = build("uniultra_mini", SIDE).eval()
    for name, parameter in network.named_parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)  # adapters have a say
        elif "norm" in name:
            torch.nn.init.normal_(parameter, 1, 0.2)
    return network


@pytest.fixture(scope="module")
def wide(narrow):
    network = build("uniultra_t", SIDE, None, CHANNELS).eval()
    network.load_state_dict(grown(network, narrow.state_dict()))
    return network


def test_the_wide_network_answers_as_the_narrow_one(narrow, wide):
    picture = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before, after = narrow.encode(picture), wide.encode(picture)
    for ours, theirs in zip((after.image, *after.high), (before.image, *before.high), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=2e-4)
    assert sum(p.numel() for p in wide.parameters()) > 6 * sum(p.numel() for p in narrow.parameters())


def test_copies_learn_different_things(wide):
    """Equal copies that get equal gradients would stay equal for ever."""
    wide.zero_grad()
    embedding = wide.encode(torch.randn(1, 3, SIDE, SIDE))
    embedding.image.square().sum().backward()
    gradient = wide.get_parameter("image_encoder.trunk.blocks.4.mlp.layers.0.weight").grad
    copies = gradient.unflatten(0, (6, -1)).flatten(1)
    cosine = torch.nn.functional.cosine_similarity(copies[:1], copies[1:])
    assert cosine.max() < 0.99
    wide.zero_grad()


def test_only_a_whole_factor_of_the_same_topology_grows(narrow):
    other = build("uniultra_s", SIDE, None, CHANNELS)
    with pytest.raises(ModelError, match="same blocks"):
        grown(other, narrow.state_dict())
    tensors = {name: value for name, value in narrow.state_dict().items() if "neck" not in name}
    with pytest.raises(ModelError, match="same blocks"):
        grown(build("uniultra_t", SIDE, None, CHANNELS), tensors)
