"""Frozen batch norms: a network's running statistics do not change while an adapter in it is trained."""

from __future__ import annotations

from typing import Self

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


class FrozenNorms(nn.Module):
    """Base of adapter modules: `train()` keeps the batch norms of the surrounding network in eval mode.

    It must be added to that network after the norms: `train` visits children in order and must reach it last.

    Args:
        network: the network whose batch norms stay frozen.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        # A plain list, so that the norms do not become child modules of this one.
        self._norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for norm in self._norms:
            norm.eval()
        return self
