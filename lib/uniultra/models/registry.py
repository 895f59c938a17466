"""The registry of models: what each one is, what it takes and where its weights come from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor

from uniultra.errors import ModelError
from uniultra.networks.network import PromptNetwork
from uniultra.prompts.kinds import KINDS

if TYPE_CHECKING:
    from pathlib import Path

System = Literal["sam", "sam2", "uniultra", "samus", "autosamus", "lgmedseg", "sam_med2d", "baseline"]
Tensors = dict[str, Tensor]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Files of this folder that register models.
FILES = ("sam2", "uniultra", "samus", "lora", "lgmedseg", "autosamus", "baselines")


@dataclass(frozen=True)
class ModelEntry:
    """One model of the registry: a base network with its `builder`, or a `base` with an `adapter`.

    Attributes:
        name: what a person types.
        system: the published system it belongs to.
        description: one line for a list.
        image_size: side of the network's square input in pixels.
        licence: of the weights.
        source: where the weights come from.
        builder: makes a base network, weights not loaded; takes the input side, and `map_channels` by name.
        base, adapter, config: else the name of the base, the kind of adapter in it, and its settings
            (None: the kind's defaults).
        fit: how a picture is brought to the square, the same in training and prediction.
        mean, std: normalisation of RGB in 0..1.
        grey: the network was made for grey pictures; colour is turned to luminance.
        prompts: the prompt kinds it takes; empty for a network that segments of its own accord.
        lone_click: which mask answers one positive click alone: `single` the decoder's one, `best` that
            of its three others that it takes for the best.
        closer: small objects get a second look, see `predict.closer`.
        trains: fragments of the parameter names that the method trains; `""` means all, None what the
            kind of adapter says.
        url, url_sha256: official file of somebody else's weights, and its checksum.
        convert: names and shapes of that file to ours.
        weights_of: another entry whose weights serve this one too, brought to it by `adapt`.
    """

    name: str
    system: System
    description: str
    image_size: int
    licence: str
    source: str
    builder: Callable[..., PromptNetwork] | None = field(default=None, repr=False)
    base: str | None = None
    adapter: str | None = None
    config: Any = None
    fit: Literal["squash", "pad"] = "squash"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    grey: bool = False
    prompts: tuple[str, ...] = tuple(KINDS)
    lone_click: Literal["single", "best"] = "single"
    closer: bool = False
    trains: tuple[str, ...] | None = None
    url: str | None = None
    url_sha256: str | None = None
    convert: Callable[[Tensors], Tensors] | None = field(default=None, repr=False)
    weights_of: str | None = None
    adapt: Callable[[Tensors], Tensors] | None = field(default=None, repr=False)

    @property
    def trained(self) -> tuple[str, ...]:
        """Fragments of the parameter names that the method trains."""
        if self.trains is not None:
            return self.trains
        if self.adapter is None:
            return ("",)
        from uniultra.adapters.registry import kind

        return kind(self.adapter).trains

    @property
    def weights_file(self) -> Path | None:
        """The weights on this machine, or None."""
        from uniultra.weights.tensors import find

        return find(self.name)

    @property
    def available(self) -> bool:
        """Whether the weights are on this machine."""
        return self.weights_file is not None

    def normalise(self, pictures: Tensor) -> Tensor:
        """RGB pictures `(B,3,S,S)` in 0..1 as the network wants them."""
        if self.grey:
            luminance = pictures.new_tensor((0.299, 0.587, 0.114)).view(1, 3, 1, 1)
            pictures = (pictures * luminance).sum(1, keepdim=True).expand(-1, 3, -1, -1)
        mean, std = (pictures.new_tensor(v).view(1, 3, 1, 1) for v in (self.mean, self.std))
        return (pictures - mean) / std


_TASK = re.compile(r"[a-z0-9_-]{1,40}")
_ENTRIES: dict[str, ModelEntry] = {}


def register(new: ModelEntry) -> ModelEntry:
    """Add a model.

    Raises:
        ModelError: the name is taken, or it has not either a builder or a base with an adapter.
    """
    if new.name in _ENTRIES:
        raise ModelError(f"A model named {new.name!r} is registered already; choose another name.")
    if (new.builder is None) != bool(new.base and new.adapter):
        raise ModelError(f"Expected {new.name!r} to have a builder, or else a base and an adapter.")
    _ENTRIES[new.name] = new
    return new


def names() -> tuple[str, ...]:
    """Names of all registered models, in order of registration."""
    _load()
    return tuple(_ENTRIES)


def entry(name: str) -> ModelEntry:
    """The entry called `name`.

    `NAME.TASK` is the model NAME with weights of its own, for a task or a clinic: `autosamus_mini.breast`.

    Raises:
        ModelError: no such model; the text lists those there are.
    """
    if not is_name(name):
        raise ModelError(f"Unknown model; expected one of {', '.join(_ENTRIES)}, or NAME.TASK of one.")
    model, _, task = name.partition(".")
    return replace(_ENTRIES[model], name=name) if task else _ENTRIES[model]


def is_name(name: str) -> bool:
    """Whether `name` is NAME or NAME.TASK of a registered model."""
    _load()
    model, dot, task = name.partition(".")
    return model in _ENTRIES and (not dot or _TASK.fullmatch(task) is not None)


def build(
    name: str, image_size: int | None = None, config: Any = None, map_channels: int | None = None
) -> PromptNetwork:
    """The network called `name`, freshly initialised.

    Args:
        name: in the registry.
        image_size: side of the input in pixels, None for the entry's own.
        config: settings of its adapter, None for the entry's own.
        map_channels: channels of its dense prompt path, see `PromptNetwork`; None for the entry's own.
    """
    found = entry(name)
    side = found.image_size if image_size is None else image_size
    if found.builder is not None:
        return found.builder(side) if map_channels is None else found.builder(side, map_channels=map_channels)
    from uniultra.adapters.registry import kind

    return kind(str(found.adapter)).inject(
        build(str(found.base), side, map_channels=map_channels), found.config if config is None else config
    )


def _load() -> None:
    for file in FILES:
        import_module(f"uniultra.models.zoo.{file}")
