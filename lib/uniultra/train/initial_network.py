"""The network at the start of a training: initial weights, and which parameters are trained."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from uniultra.adapters.registry import DECODER, kind, matches
from uniultra.adapters.settings import checked
from uniultra.errors import ModelError
from uniultra.models.factory import build, settings, trained
from uniultra.models.registry import ModelEntry, entry
from uniultra.networks.network import PromptNetwork
from uniultra.prompts.raster import CHANNELS
from uniultra.train.recipe import Recipe
from uniultra.train.widen import grown
from uniultra.weights import loading
from uniultra.weights import tensors as weights


def starting_network(recipe: Recipe) -> PromptNetwork:
    """The recipe's network with its initial weights; frozen parameters do not require gradients.

    Tensors that `start` lacks (an adapter, when it is a base's weights) are initialised from the seed.

    Raises:
        ModelError: unknown model or weights, unknown settings of its adapter, weights that do not fit, or
            nothing to train.
    """
    model = entry(recipe.model)
    torch.manual_seed(recipe.seed)
    channels = CHANNELS if recipe.drawn_prompts else None
    network = build(recipe.model, recipe.image_size, adapter_config(model, recipe), channels)
    if recipe.start is not None:
        tensors = _tensors(recipe.start, network.image_size)
        _load(network, grown(network, tensors) if recipe.grow else tensors, model)
    # An auto-prompt generator may also train its base's encoder, at a learning rate of its own.
    fragments = (*trained_fragments(model, recipe), *getattr(network, "rates", {}))
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(matches(name, fragments))
    if not any(p.requires_grad for p in network.parameters()):
        raise ModelError(f"Nothing of {recipe.model} would be trained; see `trains` in the recipe.")
    return network


def adapter_config(model: ModelEntry, recipe: Recipe) -> Any:
    """The adapter's settings with the recipe's changes; None where the recipe changes nothing.

    Raises:
        ModelError: the model has no adapter, or the adapter no such setting.
    """
    if not recipe.adapter:
        return None
    if model.adapter is None:
        raise ModelError(f"The model {model.name} has no adapter; take `adapter` out of the recipe.")
    return checked(model.adapter, asdict(settings(model)) | recipe.adapter)


def trained_fragments(model: ModelEntry, recipe: Recipe) -> tuple[str, ...]:
    """Fragments of the names of the parameters that the recipe trains.

    Raises:
        ModelError: the recipe trains an adapter that the model does not have.
    """
    if isinstance(recipe.trains, tuple):
        return recipe.trains
    if recipe.trains == "adapter":
        if model.adapter is None:
            raise ModelError(f"The model {model.name} has no adapter to train.")
        return kind(model.adapter).trains
    return {"method": trained(model), "decoder": DECODER, "all": ("",)}[recipe.trains]


def _tensors(start: str, side: int) -> dict[str, Tensor]:
    path = Path(start)
    if path.suffix == weights.SUFFIX:
        if not path.is_file():
            raise ModelError("The file of `start` in the recipe does not exist. Name another.")
        return weights.read(path)
    if path.is_dir():
        return dict(loading.assemble(path, side)[0].state_dict())
    return dict(loading.load(start, side)[0].state_dict())


def _load(network: PromptNetwork, tensors: dict[str, Tensor], model: ModelEntry) -> None:
    """Copy a model's weights, or its base's, into the network.

    Raises:
        ModelError: the weights do not fit; the text names the first few tensors.
    """
    state = network.state_dict()
    # A network that contains its whole base (the auto-prompt generator) prefixes the base's tensors.
    if not set(tensors) <= set(state):
        tensors = {f"base.{name}": value for name, value in tensors.items()}
    part = kind(model.adapter).part if model.adapter else None
    missing = [n for n in state if n not in tensors and not (part and f".{part}." in f".{n}")]
    wrong = [n for n, v in tensors.items() if n not in state or state[n].shape != v.shape]
    if missing or wrong:
        raise ModelError(
            f"The weights to start from are of another network: {len(missing)} tensors are missing "
            f"({', '.join(missing[:3])}), {len(wrong)} do not fit ({', '.join(wrong[:3])})."
        )
    network.load_state_dict(tensors, strict=False)
