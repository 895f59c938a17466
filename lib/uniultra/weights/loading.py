"""The only way from a model's name to its weights: where they lie, and the network that they make.

Weights are a `.safetensors` file or a bundle's folder. A person's own come before the shipped ones; shipped
files have to be those that were released.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uniultra.adapters.registry import kind
from uniultra.adapters.settings import checked, from_json, to_json
from uniultra.errors import ModelError
from uniultra.models.factory import build, settings
from uniultra.models.registry import entry, is_name
from uniultra.networks.network import PromptNetwork
from uniultra.weights import bundle
from uniultra.weights.tensors import MAX_SIDE, SIDE, SUFFIX, file_sha256, metadata, misfit, read, save

SUMS = "SHA256SUMS"  # beside the shipped files: what was released
CONFIG = "config"  # key of a file's metadata: settings of the adapter, as JSON
MAX_CHANNELS = 16


def shipped_folder() -> Path:
    """Where the default weights and their cards lie, read-only."""
    return Path(__file__).resolve().parents[3] / "apps" / "uniultra" / "model"


def user_folder() -> Path:
    """Where a person's own weights lie: `UNIULTRA_WEIGHTS`, else the user's cache."""
    default = Path.home() / ".cache" / "uniultra" / "weights"
    return Path(os.environ.get("UNIULTRA_WEIGHTS") or default)


def find(name: str) -> Path | None:
    """What holds the weights of model `name` on this machine: a file, or a bundle's folder.

    A person's own come before the shipped ones, in both a whole file before a bundle, and all of them
    before the file of the entry that it shares weights with. A bundle without its base does not count.
    """
    model = entry(name)
    for folder in (user_folder(), shipped_folder()):
        whole, of_bundle = folder / f"{name}{SUFFIX}", folder / name
        if whole.is_file():
            return whole
        if model.base and (of_bundle / bundle.WEIGHTS).is_file() and available(model.base):
            return of_bundle
    return find(model.weights_of) if model.weights_of and "." not in name else None


def available(name: str) -> bool:
    """Whether the weights of model `name` are on this machine."""
    return find(name) is not None


def variants() -> tuple[str, ...]:
    """Names `NAME.TASK` of registered models whose own weights lie on this machine, in order."""
    names = {
        path.name.removesuffix(SUFFIX)
        for folder in (user_folder(), shipped_folder())
        if folder.is_dir()
        for path in folder.iterdir()
    }
    return tuple(sorted(name for name in names if "." in name and is_name(name) and available(name)))


def how(name: str) -> str:
    """The command that brings the weights of model `name` to this machine."""
    model = entry(name)
    if "." not in name:
        if model.weights_of:
            return how(model.weights_of)
        if model.url or model.convert:
            return f"uniultra weights get {name}"
    train = "uniultra train RECIPE"
    if model.base and not available(model.base) and how(model.base) != train:
        return f"{how(model.base)}, then {train}"
    return train


def load(name: str, image_size: int | None = None) -> tuple[PromptNetwork, str]:
    """The model called `name` with its weights, in eval mode, and the weights' SHA-256.

    Args:
        name: in the registry.
        image_size: side of the input in pixels, None for that of the weights, or else of the entry.

    Raises:
        ModelError: unknown model, or its weights are missing, damaged or made for another network.
    """
    path = find(name)
    if path is None:
        raise ModelError(
            f"The weights of {name!r} are not on this machine. Run `{how(name)}`; your own go with `uniultra "
            f"weights add {name} FILE` into the folder named by UNIULTRA_WEIGHTS."
        )
    if path.is_dir():
        return assemble(path, image_size, name)
    digest = file_sha256(path)
    if path.parent == shipped_folder() and _released().get(path.name, digest) != digest:
        raise ModelError(
            f"The shipped weights of {name!r} are damaged (their SHA-256 differs). Restore the released file."
        )
    return load_file(name, path, image_size), digest


def _released() -> dict[str, str]:
    """SHA-256 of the shipped files by name, as `sha256sum` writes them."""
    path = shipped_folder() / SUMS
    lines = path.read_text(encoding="ascii").splitlines() if path.is_file() else []
    return {name.strip(): digest for digest, _, name in (line.partition(" ") for line in lines)}


def load_file(name: str, path: Path, image_size: int | None = None) -> PromptNetwork:
    """The model called `name` with the weights of a file, in eval mode.

    Raises:
        ModelError: unknown model, or weights that are damaged or made for another network.
    """
    model, tensors, notes = entry(name), read(path), metadata(path)
    if path.stem != name and model.adapt:
        tensors = model.adapt(tensors)
    elif image_size is None and notes.get(SIDE, "").isdecimal():
        image_size = min(int(notes[SIDE]), MAX_SIDE)
    config = from_json(model.adapter, notes[CONFIG]) if model.adapter and CONFIG in notes else None
    network = build(name, image_size, config)
    channels = _map_channels(tensors)
    if channels not in (None, network.map_channels):
        network = build(name, image_size, config, channels)
    load_into(network, tensors)
    return network.eval()


def _map_channels(tensors: dict[str, Tensor]) -> int | None:
    """Channels of the dense prompt path that these weights were trained with."""
    for key, tensor in tensors.items():
        if key.endswith("sam_prompt_encoder.mask_downscaling.0.weight") and tensor.ndim == 4:
            return tensor.shape[1] if 0 < tensor.shape[1] <= MAX_CHANNELS else None
    return None


def load_into(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy `tensors` into `network`, as float32.

    Raises:
        ModelError: names or shapes do not fit; the text names the first few.
    """
    state = network.state_dict()
    if misfits := misfit(state, tensors):
        raise ModelError(f"These weights were made for another network: tensors {misfits}.")
    network.load_state_dict({name: tensor.to(state[name].dtype) for name, tensor in tensors.items()})


def assemble(
    folder: Path, image_size: int | None = None, name: str | None = None
) -> tuple[PromptNetwork, str]:
    """The network that a bundle describes, in eval mode, and the SHA-256 of the bundle's weights.

    Args:
        folder: of the bundle.
        image_size: side of the input in pixels, None for the one that it was trained at.
        name: NAME or NAME.TASK that the bundle has to be of, None for any.

    Raises:
        ModelError: no such model, another adapter, a bundle that does not fit, or no weights of the base.
    """
    described, _ = bundle.describe(folder)
    model = entry(described.model)
    if name is not None and name.partition(".")[0] != model.name.partition(".")[0]:
        raise ModelError(f"This bundle is of {model.name!r} and not of {name!r}.")
    if described.adapter != model.adapter or (model.adapter is None and described.trains is None):
        raise ModelError(f"The bundle's adapter is not that of {model.name!r}; it is of another version.")
    side = described.image_size if image_size is None else image_size
    if described.trains is not None:
        network, digest = _own_weights(model.name, side)
        if digest != described.base_sha256:
            raise bundle.other_base(model.name)
    else:
        base, _ = load(str(model.base), side)
        network = kind(str(model.adapter)).inject(base, _config(described))
    return network.eval(), bundle.load(folder, network).weights_sha256


def _own_weights(name: str, side: int) -> tuple[PromptNetwork, str]:
    """The model's own network, which a campaign trained further; never one that itself lies over another."""
    path = find(name)
    if path is not None and path.is_dir() and bundle.describe(path)[0].trains is not None:
        raise ModelError(f"Expected weights of {name!r} under the bundle; there is a bundle only.")
    return load(name, side)


def merge(folder: Path, target: Path | None = None) -> Path:
    """Write base and bundle as one file `NAME.safetensors` and return its path.

    Args:
        folder: of the bundle.
        target: the file, None for the user's weights folder.

    Raises:
        ModelError: see `assemble`.
    """
    network, digest = assemble(folder)
    described, _ = bundle.describe(folder)
    path = target or user_folder() / f"{described.model}{SUFFIX}"
    notes = {"bundle": digest} | config_metadata(described.model, _config(described))
    save(path, network, notes, torch.float32)
    return path


def _config(described: bundle.BundleConfig) -> Any:
    """Settings of a bundle's adapter; None where it has no adapter."""
    return described.adapter and checked(described.adapter, described.config)


def config_metadata(name: str, config: Any) -> dict[str, str]:
    """What to write beside weights of model `name` with adapter settings `config` (None: the entry's own)."""
    own = settings(entry(name))
    return {} if own is None or config in (None, own) else {CONFIG: to_json(config)}
