"""The model registry, as data: architecture, inputs and source of the weights of every model.

`uniultra.models.factory` builds the networks, `uniultra.weights.loading` finds their weights; the entries are
in the files of `zoo/`.
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
    """A registered model: a base network made by `builder`, or a `base` with an `adapter`.

    Attributes:
        name: the name on the command line.
        system: the published system it belongs to.
        description: one line for a list.
        image_size: default side of the network's square input in pixels.
        licence: licence of the weights.
        source: origin of the weights.
        builder: builds a base network with random weights from the input side and, by keyword,
            `map_channels`.
        base, adapter, config: instead of `builder`: name of the base, kind of the adapter, and its settings
            (None: the kind's defaults).
        fit: how an image is fitted to the square, the same in training and prediction; default `squash`.
        mean, std: normalisation of RGB in 0..1; default ImageNet's.
        grey: whether colour is converted to luminance; default False.
        prompts: supported prompt kinds; default all, empty for a fully automatic network.
        lone_click: the mask for a single positive click: `single` (default) the decoder's single output,
            `best` the multimask output with the highest predicted IoU.
        closer: whether small objects are segmented a second time in a crop, see `predict.second_look`.
        trains: fragments of the parameter names that the method trains; `""` means all, None (default) those
            of the adapter kind.
        url, url_sha256: the publisher's weights file and its checksum.
        convert: renames the tensors of that file to ours.
        weights_of, adapt: name of another entry with the same weights, and the function that converts them.
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
        """Normalise RGB pictures `(B,3,S,S)` in 0..1 for the network."""
        if self.grey:
            luminance = pictures.new_tensor((0.299, 0.587, 0.114)).view(1, 3, 1, 1)
            pictures = (pictures * luminance).sum(1, keepdim=True).expand(-1, 3, -1, -1)
        mean, std = (pictures.new_tensor(v).view(1, 3, 1, 1) for v in (self.mean, self.std))
        return (pictures - mean) / std


_TASK = re.compile(r"[a-z0-9_-]{1,40}")
_ENTRIES: dict[str, ModelEntry] = {}


def register(new: ModelEntry) -> None:
    """Add a model to the registry.

    Raises:
        ModelError: the name is taken, or the entry has neither or both of a builder and a base with adapter.
    """
    if new.name in _ENTRIES:
        raise ModelError(f"A model named {new.name!r} is already registered; choose another name.")
    if (new.builder is None) != bool(new.base and new.adapter):
        raise ModelError(f"Expected {new.name!r} to have either a builder, or a base and an adapter.")
    _ENTRIES[new.name] = new


def names() -> tuple[str, ...]:
    """Names of all registered models, in order of registration."""
    return tuple(_ENTRIES)


def entry(name: str) -> ModelEntry:
    """The entry of model `name`.

    `NAME.TASK` is the model NAME with weights of its own for a task or a clinic: `autosamus_mini.breast`.

    Raises:
        ModelError: unknown model; the message lists the names.

    Example:
        >>> entry("uniultra_mini.clinic").base
        'sam2_mini'
        >>> entry("autosamus_mini").prompts  # fully automatic
        ()
    """
    if not is_name(name):
        raise ModelError(f"Unknown model; expected one of {', '.join(_ENTRIES)}, or NAME.TASK of one.")
    model, _, task = name.partition(".")
    return replace(_ENTRIES[model], name=name) if task else _ENTRIES[model]


def is_name(name: str) -> bool:
    """Whether `name` is NAME or NAME.TASK of a registered model."""
    model, dot, task = name.partition(".")
    return model in _ENTRIES and (not dot or _TASK.fullmatch(task) is not None)
