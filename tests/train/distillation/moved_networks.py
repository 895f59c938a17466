"""Networks whose adapters have left zero, so that all parts of their features differ."""

import torch

from uniultra.models import build

SIDE = 64


def made(name="uniultra_mini", seed=0, side=SIDE):
    """A network of the registry with random weights of a seed."""
    torch.manual_seed(seed)
    network = build(name, side).eval()
    for key, parameter in network.named_parameters():
        if ".ch_adapters." in key or "no_mem" in key:
            torch.nn.init.normal_(parameter, std=0.1)
    return network
