"""The registry of models, as data: what each one is, what it takes and where its weights come from.

`uniultra.models.factory` builds them, `uniultra.weights.loading` finds their weights; the entries are made by
the files of `zoo/`, which the package imports.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from torch import Tensor

from uniultra.errors import ModelError
from uniultra.networks.network import PromptNetwork
from uniultra.prompts.kinds import KINDS

System = Literal["sam", "sam2", "uniultra", "samus", "autosamus", "lgmedseg", "sam_med2d", "baseline"]
Tensors = dict[str, Tensor]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


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
        fit: how a picture is fitted to the square, the same in training and prediction.
        mean, std: normalisation of RGB in 0..1.
        grey: the network was made for grey pictures; colour is turned to luminance.
        prompts: the prompt kinds it takes; empty for a fully automatic network.
        lone_click: which mask answers one positive click alone: `single` the decoder's single output,
            `best` the multimask output with the highest predicted IoU.
        closer: small objects get a second look, see `predict.second_look`.
        trains: fragments of the parameter names that the method trains; `""` means all, None what the
            kind of adapter says.
        url, url_sha256: the publisher's file of the weights, and its checksum.
        convert: names and shapes of that file to ours.
        weights_of: another entry whose weights serve this one too, converted by `adapt`.
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
        ModelError: the name is taken, or the entry has neither a builder nor a base with an adapter, or both.
    """
    if new.name in _ENTRIES:
        raise ModelError(f"A model named {new.name!r} is registered already; choose another name.")
    if (new.builder is None) != bool(new.base and new.adapter):
        raise ModelError(f"Expected {new.name!r} to have a builder, or else a base and an adapter.")
    _ENTRIES[new.name] = new
    return new


def names() -> tuple[str, ...]:
    """Names of all registered models, in order of registration."""
    return tuple(_ENTRIES)


def entry(name: str) -> ModelEntry:
    """The entry called `name`.

    `NAME.TASK` is the model NAME with weights of its own, for a task or a clinic: `autosamus_mini.breast`.

    Raises:
        ModelError: no such model; the text lists the names.
    """
    if not is_name(name):
        raise ModelError(f"Unknown model; expected one of {', '.join(_ENTRIES)}, or NAME.TASK of one.")
    model, _, task = name.partition(".")
    return replace(_ENTRIES[model], name=name) if task else _ENTRIES[model]


def is_name(name: str) -> bool:
    """Whether `name` is NAME or NAME.TASK of a registered model."""
    model, dot, task = name.partition(".")
    return model in _ENTRIES and (not dot or _TASK.fullmatch(task) is not None)
