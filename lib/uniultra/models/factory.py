"""Networks built from entries of the registry: the base, and the adapter in it."""

from __future__ import annotations

from typing import Any

from uniultra.adapters.registry import kind
from uniultra.models.registry import ModelEntry, entry
from uniultra.networks.network import PromptNetwork


def build(
    name: str, image_size: int | None = None, config: Any = None, map_channels: int | None = None
) -> PromptNetwork:
    """The network called `name`, freshly initialised.

    Args:
        name: in the registry.
        image_size: side of the input in pixels, None for the entry's own.
        config: settings of its adapter, None for the entry's own.
        map_channels: channels of its dense prompt path, see `PromptNetwork`; None for the entry's own.

    Raises:
        ModelError: no such model, or a side that the network cannot have.
    """
    model = entry(name)
    side = model.image_size if image_size is None else image_size
    if model.builder is not None:
        return model.builder(side) if map_channels is None else model.builder(side, map_channels=map_channels)
    base = build(str(model.base), side, map_channels=map_channels)
    return kind(str(model.adapter)).inject(base, settings(model, config))


def settings(model: ModelEntry, config: Any = None) -> Any:
    """Settings of the adapter of `model`: `config`, else the entry's own, else the kind's defaults.

    None where the model has no adapter.
    """
    if model.adapter is None:
        return None
    return config or model.config or kind(model.adapter).config()


def trained(model: ModelEntry) -> tuple[str, ...]:
    """Fragments of the parameter names that the method of `model` trains; `""` means all."""
    if model.trains is not None:
        return model.trains
    return ("",) if model.adapter is None else kind(model.adapter).trains
