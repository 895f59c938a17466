"""Build networks from registry entries: the base, then the adapter in it."""

from __future__ import annotations

from typing import Any

from uniultra.adapters.registry import kind
from uniultra.models.registry import ModelEntry, entry
from uniultra.networks.network import PromptNetwork


def build(
    name: str, image_size: int | None = None, config: Any = None, map_channels: int | None = None
) -> PromptNetwork:
    """Build the network of model `name` with random weights.

    Args:
        name: name in the registry.
        image_size: side of the square input in pixels; default the entry's.
        config: settings of the adapter; default the entry's.
        map_channels: channels of the dense prompt path, see `PromptNetwork`; default the entry's.

    Raises:
        ModelError: unknown model, or a side that the network does not support.
    """
    model = entry(name)
    side = model.image_size if image_size is None else image_size
    if model.builder is not None:
        return model.builder(side) if map_channels is None else model.builder(side, map_channels=map_channels)
    base = build(str(model.base), side, map_channels=map_channels)
    return kind(str(model.adapter)).inject(base, settings(model, config))


def settings(model: ModelEntry, config: Any = None) -> Any:
    """Settings of the adapter of `model`: `config`, else the entry's, else the kind's defaults.

    None if the model has no adapter.
    """
    if model.adapter is None:
        return None
    return config or model.config or kind(model.adapter).config()


def trained(model: ModelEntry) -> tuple[str, ...]:
    """Fragments of the names of the parameters that the method of `model` trains; `""` means all.

    Example:
        >>> trained(entry("uniultra_t"))  # a frozen SAM2 encoder
        ('.ch_adapters.', '.sam_prompt_encoder.', '.sam_mask_decoder.')
        >>> trained(entry("sam2_t"))
        ('',)
    """
    if model.trains is not None:
        return model.trains
    return ("",) if model.adapter is None else kind(model.adapter).trains
