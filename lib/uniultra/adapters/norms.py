"""Batch norms of a frozen network keep their statistics while an adapter in it is trained."""

from __future__ import annotations

from typing import Self

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


class FrozenNorms(nn.Module):
    """Base of an adapter module: `train()` leaves the batch norms of the network around it in eval mode.

    It has to be added to that network after the norms, so that `train` reaches it last.

    Args:
        network: whose batch norms stay as they are.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        # A list, so that the norms do not become this module's own children.
        self._norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for norm in self._norms:
            norm.eval()
        return self
