"""Parameter counts, counted from the built network without allocating it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from uniultra.adapters.registry import kind, matches
from uniultra.models.factory import build, trained
from uniultra.models.registry import ModelEntry, entry
from uniultra.networks.network import PromptNetwork


@dataclass(frozen=True)
class Counts:
    """Numbers of parameters; fixed kernels are buffers and not counted."""

    parameters_total: int
    parameters_encoder: int
    parameters_adapter: int
    parameters_trained: int


def count(name: str) -> Counts:
    """The counts of model `name`, without allocating it."""
    model = entry(name)
    return count_network(on_meta(name), model, trained(model))


def on_meta(name: str, image_size: int | None = None, config: Any = None) -> PromptNetwork:
    """The network called `name` on the meta device: shapes without numbers."""
    with _OnMeta():
        return build(name, image_size, config)


def count_network(network: nn.Module, model: ModelEntry, fragments: tuple[str, ...]) -> Counts:
    """The counts of a built network of `model`; `fragments` of the names of the parameters that train."""
    part = f".{kind(model.adapter).part}." if model.adapter else None
    sizes = {key: p.numel() for key, p in network.named_parameters()}

    def total(wanted: Callable[[str], bool]) -> int:
        return sum(n for key, n in sizes.items() if wanted(key))

    return Counts(
        parameters_total=sum(sizes.values()),
        parameters_encoder=total(lambda key: ".image_encoder." in f".{key}"),
        parameters_adapter=total(lambda key: part is not None and part in f".{key}"),
        parameters_trained=total(lambda key: matches(key, fragments)),
    )


def sizes_of(make: Callable[[], nn.Module]) -> dict[str, int]:
    """Names and sizes of the parameters of the network that `make` builds, without allocating it."""
    with _OnMeta():
        return {name: p.numel() for name, p in make().named_parameters()}


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
