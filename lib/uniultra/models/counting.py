"""Parameter counts of networks, built without allocating memory."""

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
    """Numbers of parameters; buffers, such as fixed kernels, are not counted."""

    parameters_total: int
    parameters_encoder: int
    parameters_adapter: int
    parameters_trained: int


def count(name: str) -> Counts:
    """Count the parameters of model `name` without allocating them.

    Example:
        >>> counts = count("uniultra_t")
        >>> counts.parameters_total, counts.parameters_trained
        (32620973, 5401581)
    """
    model = entry(name)
    return count_network(on_meta(name), model, trained(model))


def on_meta(name: str, image_size: int | None = None, config: Any = None) -> PromptNetwork:
    """Build model `name` on the meta device: tensors with shapes but without values."""
    with MetaDevice():
        return build(name, image_size, config)


def count_network(network: nn.Module, model: ModelEntry, fragments: tuple[str, ...]) -> Counts:
    """Count the parameters of a built network of `model`; `fragments` match the names of trained ones."""
    part = f".{kind(model.adapter).part}." if model.adapter else None
    sizes = {key: p.numel() for key, p in network.named_parameters()}

    def total(counted: Callable[[str], bool]) -> int:
        return sum(n for key, n in sizes.items() if counted(key))

    return Counts(
        parameters_total=sum(sizes.values()),
        parameters_encoder=total(lambda key: ".image_encoder." in f".{key}"),
        parameters_adapter=total(lambda key: part is not None and part in f".{key}"),
        parameters_trained=total(lambda key: matches(key, fragments)),
    )


class MetaDevice(TorchFunctionMode):
    """Context manager that creates new parameters on the meta device.

    Not `torch.device("meta")`, because Hiera reads values back from a `linspace` that it creates.
    """

    _MAKERS = (torch.empty, torch.zeros, torch.ones, torch.randn)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in self._MAKERS and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)
