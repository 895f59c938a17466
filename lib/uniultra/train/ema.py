"""The moving average of the weights in training, which becomes the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """Exponential moving average of named parameters; with no decay it is the parameters themselves."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float | None) -> None:
        self.parameters, self.decay = parameters, decay
        self.values: dict[str, Tensor] = {}
        if decay is not None:
            self.values = {name: p.detach().clone() for name, p in parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the parameters after `step` (from 0); early steps count for more."""
        if self.decay is None:
            return
        share = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.values.values()), list(self.parameters.values()), 1 - share)

    @torch.no_grad()
    def load(self, values: Mapping[str, Tensor]) -> None:
        """Go on from saved values."""
        for name, kept in self.values.items():
            kept.copy_(values[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The parameters hold the average for a while."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, kept in self.values.items():
            own = self.parameters[name]
            own.data, self.values[name] = kept, own.data
