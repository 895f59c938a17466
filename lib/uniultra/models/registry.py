"""The registry of models: what each one is, what it takes and where its weights come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from uniultra.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from uniultra.models.sam2_image import Sam2Image

System = Literal["uniultra", "samus", "autosamus", "lgmedseg"]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ModelEntry:
    """One model of the registry.

    Attributes:
        name: what a person types.
        system: the published system it belongs to.
        description: one line for a list.
        builder: makes the network, weights not loaded; takes the input side.
        image_size: side of the network's square input in pixels, a multiple of 32.
        fit: how a picture is brought to the square, the same in training and prediction.
        mean, std: normalisation of RGB in 0..1.
        prompts: the prompt kinds it takes.
        dense_prompts: `drawn` when prompts are also drawn into the dense path (our weights),
            `logits` when it takes previous logits only (official SAM2 weights).
        trains: fragments of the parameter names that the method trains; `""` means all.
        licence: of the weights.
        source: where the weights come from.
        sha256: of the weights file, None when the user supplies it.
    """

    name: str
    system: System
    description: str
    builder: Callable[[int], Sam2Image] = field(repr=False)
    image_size: int
    licence: str
    source: str
    fit: Literal["squash", "pad"] = "squash"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    prompts: tuple[str, ...] = ("point", "box", "scribble", "lasso", "mask")
    dense_prompts: Literal["drawn", "logits"] = "drawn"
    trains: tuple[str, ...] = ("",)
    sha256: str | None = None

    @property
    def weights_file(self) -> Path | None:
        """The weights on this machine, or None."""
        from uniultra.models.weights import find

        return find(self.name)

    @property
    def available(self) -> bool:
        """Whether the weights are on this machine."""
        return self.weights_file is not None


_ENTRIES: dict[str, ModelEntry] = {}


def register(new: ModelEntry) -> ModelEntry:
    """Add a model.

    Raises:
        ModelError: the name is taken.
    """
    if new.name in _ENTRIES:
        raise ModelError(f"A model named {new.name!r} is registered already; choose another name.")
    _ENTRIES[new.name] = new
    return new


def names() -> tuple[str, ...]:
    """Names of all registered models, in order of registration."""
    _load()
    return tuple(_ENTRIES)


def entry(name: str) -> ModelEntry:
    """The entry called `name`.

    Raises:
        ModelError: no such model; the text lists those there are.
    """
    _load()
    try:
        return _ENTRIES[name]
    except KeyError:
        raise ModelError(f"Unknown model; expected one of {', '.join(_ENTRIES)}.") from None


def build(name: str, image_size: int | None = None) -> Sam2Image:
    """The network called `name`, freshly initialised, for inputs of `image_size` (default: its own)."""
    found = entry(name)
    return found.builder(found.image_size if image_size is None else image_size)


def _load() -> None:
    import uniultra.models.uniultra  # noqa: F401  (registers its models)
