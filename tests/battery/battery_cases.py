"""Which models the battery runs over, which of them in continuous integration, and their inputs."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from uniultra.models import build, entry, names
from uniultra.models.counting import count
from uniultra.models.factory import trained
from uniultra.models.registry import ModelEntry
from uniultra.networks.network import Embedding, PromptNetwork

SMALL = 64  # side for what does not depend on the size of the picture
FULL = 256

_TINY = {n for n in names() if n.endswith("_mini")} | {"lgmedseg", "unet"}
_LIGHT = {n for n in names() if count(n).parameters_total < 45e6}
# Models of each check that continuous integration has time for; the others are slow.
FAST = {
    "forward": _LIGHT | {"sam2_b", "uniultra_b"},
    "bf16": _TINY | {"uniultra_t", "mobile_sam", "sam2_tinyvit"},
    "starts_at_its_base": _LIGHT | {"samus"},
    "gradients": _TINY | {"uniultra_t", "mobile_sam", "sam2_tinyvit"},
    "saved": _TINY,
    "torchscript": _TINY,
    "onnx": set(),  # tests/export/test_export.py does one
    "training": _TINY,
}


def cases(check: str, *, adapted: bool = False) -> list[Any]:
    """Parameters for a test: every model (or every one with an adapter), the big ones slow."""
    return [
        pytest.param(name, id=name, marks=() if name in FAST[check] else pytest.mark.slow)
        for name in names()
        if entry(name).adapter or not adapted
    ]


def wanted(name: str) -> set[str]:
    """The checks that must be on record for a model."""
    return {check for check in FAST if entry(name).adapter or check != "starts_at_its_base"}


@cache
def parameters(name: str) -> int:
    """Parameters of a model in all."""
    return count(name).parameters_total


def fresh(name: str, side: int) -> PromptNetwork:
    """A model with weights of a fixed seed: a base and what is built on it share theirs."""
    torch.manual_seed(0)
    return build(name, side).eval()


def pictures(found: ModelEntry, side: int, batch: int = 1) -> Tensor:
    """Random pictures as the network wants them, `(B,3,side,side)`."""
    generator = torch.Generator().manual_seed(1)
    return found.normalise(torch.rand(batch, 3, side, side, generator=generator))


def prompts(network: PromptNetwork, count: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Random prompts of all kinds: coords `(N,5,2)`, labels `(N,5)`, dense, the first without a mask."""
    generator = torch.Generator().manual_seed(2)
    coords = torch.rand(count, 5, 2, generator=generator) * network.image_size
    labels = torch.tensor([1.0, 0, 2, 3, -1]).repeat(count, 1)
    side = network.mask_side
    dense = torch.randn(count, network.map_channels, side, side, generator=generator)
    dense[0] = 0
    return coords, labels, dense


def answer(network: PromptNetwork, embedding: Embedding, multimask: bool = False) -> tuple[Tensor, Tensor]:
    """Logits and IoU on the pictures of an embedding, or for two prompt sets on its only one."""
    count = embedding.image.shape[0]
    coords, labels, dense = prompts(network, 2 if count == 1 else count)
    return network.decode(embedding, coords, labels, dense, multimask)


def disturb(network: nn.Module, std: float = 0.05) -> list[str]:
    """Move the parameters that start at zero, so that what lies behind them can be reached; their names."""
    generator = torch.Generator().manual_seed(3)
    moved = []
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.requires_grad and not parameter.any():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
                moved.append(name)
    return moved


def train_what_the_method_trains(network: nn.Module, found: ModelEntry) -> list[str]:
    """Freeze the rest; names of the trained parameters."""
    from uniultra.adapters.registry import matches

    for name, parameter in network.named_parameters():
        parameter.requires_grad_(matches(name, trained(found)))
    return [name for name, parameter in network.named_parameters() if parameter.requires_grad]
