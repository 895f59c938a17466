"""Find the weights of a model by name, and load them into its network. Nothing else does.

Weights are a `.safetensors` file or a bundle's folder. The user's take precedence over the shipped ones;
shipped files must be those that were released.
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
from uniultra.models.registry import ModelEntry, entry, is_name
from uniultra.networks.network import PromptNetwork
from uniultra.weights import bundle
from uniultra.weights.tensors import MAX_SIDE, SIDE, SUFFIX, file_sha256, metadata, misfit, read, save

SUMS = "SHA256SUMS"  # checksums of the released files, in the folder of the shipped ones
CONFIG = "config"  # key of a file's metadata: adapter settings as JSON
MAX_CHANNELS = 16


def shipped_folder() -> Path:
    """Folder of the shipped weights and their cards, read-only."""
    return Path(__file__).resolve().parents[3] / "apps" / "uniultra" / "model"


def user_folder() -> Path:
    """Folder of the user's weights: `UNIULTRA_WEIGHTS`, else in the user's cache."""
    default = Path.home() / ".cache" / "uniultra" / "weights"
    return Path(os.environ.get("UNIULTRA_WEIGHTS") or default)


def find(name: str) -> Path | None:
    """The weights of model `name` on this machine, a file or a bundle's folder; None if there are none.

    The user's folder is searched before the shipped one, in both a whole file before a bundle, and then the
    entry that the model shares weights with. A bundle without its base is ignored.
    """
    model = entry(name)
    for folder in (user_folder(), shipped_folder()):
        file, bundle_folder = folder / f"{name}{SUFFIX}", folder / name
        if file.is_file():
            return file
        if model.base and (bundle_folder / bundle.WEIGHTS).is_file() and available(model.base):
            return bundle_folder
    return find(model.weights_of) if model.weights_of and "." not in name else None


def available(name: str) -> bool:
    """Whether the weights of model `name` are on this machine.

    Example:
        >>> available("uniultra_mini")
        True
    """
    return find(name) is not None


def variants() -> tuple[str, ...]:
    """Sorted names `NAME.TASK` of registered models with weights of their own on this machine."""
    names = {
        path.name.removesuffix(SUFFIX)
        for folder in (user_folder(), shipped_folder())
        if folder.is_dir()
        for path in folder.iterdir()
    }
    return tuple(sorted(name for name in names if "." in name and is_name(name) and available(name)))


def how(name: str) -> str:
    """The command that fetches or trains the weights of model `name`."""
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
    """Load model `name` with its weights, in eval mode; also returns the SHA-256 of the weights.

    Args:
        name: name in the registry.
        image_size: side of the input in pixels; default that of the weights, else the entry's.

    Raises:
        ModelError: unknown model, or its weights are missing, damaged or of another network.

    Example:
        >>> network, digest = load("uniultra_mini")
        >>> network.image_size, network.training, len(digest)
        (256, False, 64)
    """
    path = find(name)
    if path is None:
        raise ModelError(
            f"The weights of {name!r} are not on this machine. Run `{how(name)}`, or install your own with "
            f"`uniultra weights add {name} FILE` into the folder named by UNIULTRA_WEIGHTS."
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
    """SHA-256 of the released files by name, from the output of `sha256sum`."""
    path = shipped_folder() / SUMS
    lines = path.read_text(encoding="ascii").splitlines() if path.is_file() else []
    return {name.strip(): digest for digest, _, name in (line.partition(" ") for line in lines)}


def load_file(name: str, path: Path, image_size: int | None = None) -> PromptNetwork:
    """Load model `name` with the weights in a file, in eval mode.

    Raises:
        ModelError: unknown model, or weights that are damaged or of another network.
    """
    model, tensors, notes = entry(name), read(path), metadata(path)
    if path.stem != name and model.adapt:
        tensors = model.adapt(tensors)
    elif image_size is None and notes.get(SIDE, "").isdecimal():
        image_size = min(int(notes[SIDE]), MAX_SIDE)
    network = build(name, image_size, stored_settings(model, notes), _map_channels(tensors))
    load_into(network, tensors)
    return network.eval()


def stored_settings(model: ModelEntry, notes: dict[str, str]) -> Any:
    """Adapter settings in a file's metadata; None if there are none.

    Raises:
        ModelError: they are invalid.
    """
    return from_json(model.adapter, notes[CONFIG]) if model.adapter and CONFIG in notes else None


def _map_channels(tensors: dict[str, Tensor]) -> int | None:
    """Channels of the dense prompt path of these weights; None if they have no such path."""
    for key, tensor in tensors.items():
        if key.endswith("sam_prompt_encoder.mask_downscaling.0.weight") and tensor.ndim == 4:
            return tensor.shape[1] if 0 < tensor.shape[1] <= MAX_CHANNELS else None
    return None


def load_into(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy `tensors` into `network`, converted to its dtypes.

    Raises:
        ModelError: names or shapes do not match; the message lists the first few.
    """
    state = network.state_dict()
    if misfits := misfit(state, tensors):
        raise ModelError(f"These weights were made for another network: tensors {misfits}.")
    network.load_state_dict({name: tensor.to(state[name].dtype) for name, tensor in tensors.items()})


def assemble(
    folder: Path, image_size: int | None = None, name: str | None = None
) -> tuple[PromptNetwork, str]:
    """Build the network of a bundle, in eval mode; also returns the SHA-256 of the bundle's weights.

    Args:
        folder: folder of the bundle.
        image_size: side of the input in pixels; default that of its training.
        name: required model of the bundle, NAME or NAME.TASK; default any.

    Raises:
        ModelError: unknown model, another adapter, a bundle that does not fit, or no weights of the base.
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
    """The model's own weights under a campaign's bundle; never themselves a bundle over own weights."""
    path = find(name)
    if path is not None and path.is_dir() and bundle.describe(path)[0].trains is not None:
        raise ModelError(
            f"Expected weights of {name!r} under the bundle; got another bundle only. Add the weights."
        )
    return load(name, side)


def merge(folder: Path, target: Path | None = None) -> Path:
    """Merge a bundle with its base into one file `NAME.safetensors` and return its path.

    Args:
        folder: folder of the bundle.
        target: the file to write; default in the user's weights folder.

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
    """Adapter settings of a bundle; None if it has no adapter."""
    return described.adapter and checked(described.adapter, described.config)


def config_metadata(name: str, config: Any) -> dict[str, str]:
    """Metadata for weights of model `name` with adapter settings `config`; empty for the entry's own."""
    own = settings(entry(name))
    return {} if own is None or config in (None, own) else {CONFIG: to_json(config)}
