"""Parameter counts, counted from the built network without allocating it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from uniultra.adapters.registry import kind, matches
from uniultra.models.registry import build, entry


@dataclass(frozen=True)
class Counts:
    """Numbers of parameters; fixed kernels are buffers and not counted."""

    parameters_total: int
    parameters_encoder: int
    parameters_adapter: int
    parameters_trained: int


def count(name: str) -> Counts:
    """The counts of model `name`."""
    with _OnMeta():
        network = build(name)
    sizes = {key: p.numel() for key, p in network.named_parameters()}
    found = entry(name)
    part = f".{kind(found.adapter).part}." if found.adapter else None

    def total(wanted: Callable[[str], bool]) -> int:
        return sum(n for key, n in sizes.items() if wanted(key))

    return Counts(
        parameters_total=sum(sizes.values()),
        parameters_encoder=total(lambda key: ".image_encoder." in f".{key}"),
        parameters_adapter=total(lambda key: part is not None and part in f".{key}"),
        parameters_trained=total(lambda key: matches(key, found.trained)),
    )


class _OnMeta(TorchFunctionMode):
    """Make new parameters on the meta device.

    `torch.device("meta")` would do, but Hiera reads numbers back from a `linspace` it makes.
    """

    _MAKERS = (torch.empty, torch.zeros, torch.ones, torch.randn)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in self._MAKERS and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)
