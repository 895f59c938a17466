"""Adapter kinds by name, each imported from its own module, and the parameters that each method trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from uniultra.errors import ModelError
from uniultra.networks.network import PromptNetwork

DECODER = (".sam_prompt_encoder.", ".sam_mask_decoder.")
# A module of this package per kind: a frozen dataclass of settings, the layers, `inject` and `KIND`.
FILES = ("ch", "lora", "samus", "samus_hiera", "med2d", "lr", "apg")


@dataclass(frozen=True)
class AdapterKind:
    """One kind of adapter.

    Attributes:
        name: the name in recipes and bundles.
        config: dataclass of its settings, all with defaults.
        inject: inserts the adapter into a network and returns the network to use.
        part: name of the module that holds its parameters.
        trains: fragments of the dotted names of the parameters that the published method trains.
    """

    name: str
    config: type
    inject: Callable[[PromptNetwork, Any], PromptNetwork] = field(repr=False)
    part: str
    trains: tuple[str, ...]


def kind(name: str) -> AdapterKind:
    """The adapter kind called `name`.

    Raises:
        ModelError: unknown kind; the message lists them.
    """
    if name not in FILES:
        raise ModelError(f"Unknown adapter; expected one of {', '.join(FILES)}.")
    loaded: AdapterKind = import_module(f"uniultra.adapters.{name}").KIND
    return loaded


def matches(parameter: str, fragments: tuple[str, ...]) -> bool:
    """Whether a parameter's dotted name contains one of the fragments; `""` matches every name."""
    return any(fragment in f".{parameter}" for fragment in fragments)
