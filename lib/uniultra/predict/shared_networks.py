"""Loads networks so that all tasks of one base share the base in memory, and the embeddings of a picture.

A fully automatic network (`AutoSAMUS`) holds the base that it was trained on, unchanged, as `.base`.
Whatever file the weights come from, bases of equal weights are kept once per device, also when the base is
itself an interactive model.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

import torch

from uniultra.adapters.apg import AutoNetwork
from uniultra.adapters.registry import DECODER, matches
from uniultra.models import registry
from uniultra.models.registry import ModelEntry
from uniultra.networks.network import PromptNetwork
from uniultra.weights import loading
from uniultra.weights.bundle import fingerprint
from uniultra.weights.loading import assemble

# Layers of the decoder that SAM2's `encode` runs: their high-resolution features are part of the embedding.
ENCODING = (".conv_s0.", ".conv_s1.")
_bases: WeakValueDictionary[tuple[str, str, torch.device], PromptNetwork] = WeakValueDictionary()
_choosing = threading.Lock()


@dataclass(frozen=True)
class Loaded:
    """A network on its device.

    Attributes:
        network: in evaluation mode.
        encoder: key of its embeddings: the encoder's model and the digest of its weights.
        adapter: id of the campaign's bundle; None for the model's own weights.
    """

    network: PromptNetwork
    encoder: tuple[str, str]
    adapter: str | None = None


def load(model: ModelEntry, device: torch.device) -> Loaded:
    """The network of `model` on `device`, on an equal base in memory if there is one.

    Raises:
        ModelError: the weights are missing, damaged or made for another network.
    """
    network, digest = loading.load(model.name)
    base = network.base if isinstance(network, AutoNetwork) else network
    if base is network and not _is_a_base(model):
        return Loaded(network.to(device), (model.name, digest))
    # The same weights at another input size make other embeddings.
    weights = f"{fingerprint(base, ())}@{base.image_size}"
    family = model.name.partition(".")[0] if base is network else str(model.base)
    with _choosing:
        shared = _bases.setdefault((family, weights, device), base).to(device)
    encoder = (_encoder_name(model), encoder_numbers(base))
    if not isinstance(network, AutoNetwork):
        return Loaded(shared, encoder)
    network.base = shared
    return Loaded(network.to(device), encoder)


def load_bundle(model: ModelEntry, folder: Path, name: str, device: torch.device) -> Loaded:
    """The network of `model` with a campaign's bundle; `name` is the bundle's id.

    Raises:
        ModelError: the bundle is damaged, of another model or base, or does not fit.
    """
    network, _ = assemble(folder, name=model.name)
    encoder = (_encoder_name(model), encoder_numbers(network))
    return Loaded(network.to(device), encoder, name)


def encoder_numbers(network: PromptNetwork) -> str:
    """Digest of what embeddings depend on: the input size and all weights except those that only decode."""
    names = network.state_dict()
    decoder = [name for name in names if matches(name, DECODER) and not matches(name, ENCODING)]
    return f"{fingerprint(network, decoder)}@{network.image_size}"


def _is_a_base(model: ModelEntry) -> bool:
    """Whether a fully automatic model has `model` as its base."""
    family = model.name.partition(".")[0]
    entries = map(registry.entry, registry.names())
    return any(entry.base == family and not entry.prompts for entry in entries)


def _encoder_name(model: ModelEntry) -> str:
    """The model whose embeddings the encoder shares: the base where both preprocess pictures alike."""
    if model.prompts or model.base is None:
        return model.name.partition(".")[0]
    base = registry.entry(model.base)
    return base.name if _square(base) == _square(model) else model.name


def _square(model: ModelEntry) -> tuple[object, ...]:
    return model.fit, model.mean, model.std, model.grey
