"""Exponential moving average of the weights in training, which becomes the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """Exponential moving average of named parameters; without a decay, the parameters themselves.

    After step n (from 0) the decay is min(decay, (1 + n) / (10 + n)), so that early averages forget the
    initial weights quickly.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float | None) -> None:
        self.parameters, self.decay = parameters, decay
        self.values: dict[str, Tensor] = {}
        if decay is not None:
            self.values = {name: p.detach().clone() for name, p in parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average with the parameters after `step` (from 0)."""
        if self.decay is None:
            return
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.values.values()), list(self.parameters.values()), 1 - decay)

    @torch.no_grad()
    def load(self, values: Mapping[str, Tensor]) -> None:
        """Restore the average from saved values."""
        for name, average in self.values.items():
            average.copy_(values[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Swap the average into the parameters while the context lasts."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, average in self.values.items():
            parameter = self.parameters[name]
            parameter.data, self.values[name] = average, parameter.data
