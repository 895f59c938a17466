"""The only place that reads and writes weights: safetensors, never pickle."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uniultra.adapters.registry import kind
from uniultra.adapters.settings import from_json, to_json
from uniultra.errors import ModelError
from uniultra.models.registry import build, entry, is_name
from uniultra.networks.network import PromptNetwork

SUFFIX = ".safetensors"
SUMS = "SHA256SUMS"  # beside the shipped files: what was released
CONFIG = "config"  # key of a file's metadata: settings of the adapter, as JSON
SIDE = "image_size"  # key of a file's metadata: side of the input that the weights were trained at
MAX_CHANNELS = 16
MAX_SIDE = 4096
_DAMAGED = (
    "The weights file cannot be read as safetensors: it is damaged or of another kind. "
    "Fetch it again and compare its SHA-256."
)


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
    before the file of the entry that it shares weights with. A bundle whose base is not here does not count.
    """
    found = entry(name)
    for folder in (user_folder(), shipped_folder()):
        whole, bundle = folder / f"{name}{SUFFIX}", folder / name
        if whole.is_file():
            return whole
        if found.base and (bundle / f"weights{SUFFIX}").is_file() and find(found.base):
            return bundle
    return find(found.weights_of) if found.weights_of and "." not in name else None


def variants() -> tuple[str, ...]:
    """Names `NAME.TASK` of registered models whose own weights lie on this machine, in order."""
    found = set()
    for folder in (user_folder(), shipped_folder()):
        for path in folder.iterdir() if folder.is_dir() else ():
            name = path.name.removesuffix(SUFFIX)
            if "." in name and is_name(name) and find(name):
                found.add(name)
    return tuple(sorted(found))


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file; of a bundle, that of its weights."""
    with (path / f"weights{SUFFIX}" if path.is_dir() else path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def save(path: Path, model: nn.Module, metadata: dict[str, str], dtype: torch.dtype = torch.float16) -> None:
    """Write the model's weights as `dtype` safetensors, whole or not at all."""
    if isinstance(model, PromptNetwork):
        metadata = {SIDE: str(model.image_size)} | metadata
    save_tensors(path, model.state_dict(), metadata, dtype)


def save_tensors(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, str], dtype: torch.dtype = torch.float32
) -> None:
    """Write tensors as safetensors, those of floating point as `dtype`, whole or not at all."""
    from safetensors.torch import save_file

    plain = {
        # A copy, so that tensors may share memory (views of one file, tied layers).
        key: value.detach()
        .to("cpu", dtype if value.is_floating_point() else value.dtype, copy=True)
        .contiguous()
        for key, value in tensors.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    os.close(handle)
    try:
        save_file(plain, temporary, metadata=metadata)
        _sort_metadata(Path(temporary))
        Path(temporary).chmod(0o644)  # mkstemp makes it private
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _sort_metadata(path: Path) -> None:
    """Put the notes of a file in order: safetensors writes them in any, and equal weights are equal bytes."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= length:
            file.seek(8)
            file.write(text.ljust(length))


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        ModelError: the file is not safetensors, or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise ModelError(_DAMAGED) from error


def metadata(path: Path) -> dict[str, Any]:
    """The metadata written beside the weights; empty when there is none.

    Raises:
        ModelError: the file is not safetensors, or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as opened:
            return dict(opened.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(_DAMAGED) from error


def config_metadata(name: str, config: Any) -> dict[str, str]:
    """What to write beside weights of model `name` with adapter settings `config` (None: the entry's own)."""
    found = entry(name)
    if config is None or found.adapter is None or config == (found.config or kind(found.adapter).config()):
        return {}
    return {CONFIG: to_json(config)}


def misfit(wanted: dict[str, Tensor], tensors: dict[str, Tensor]) -> str:
    """What of `tensors` does not fit a network's state `wanted`, by name or shape; empty when all does."""
    missing = [k for k in wanted if k not in tensors]
    unknown = [k for k in tensors if k not in wanted]
    wrong = [k for k in wanted if k in tensors and wanted[k].shape != tensors[k].shape]
    return "; ".join(
        f"{len(keys)} {what} ({', '.join(keys[:3])})"
        for what, keys in (("missing", missing), ("unknown", unknown), ("of another shape", wrong))
        if keys
    )


def load_into(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy `tensors` into `model`, as float32.

    Raises:
        ModelError: names or shapes do not fit; the text names the first few.
    """
    wanted = model.state_dict()
    if found := misfit(wanted, tensors):
        raise ModelError(f"These weights were made for another network: tensors {found}.")
    model.load_state_dict({k: v.to(wanted[k].dtype) for k, v in tensors.items()})


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
        from uniultra.weights.bundle import assemble

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
    found, tensors, notes = entry(name), read(path), metadata(path)
    if path.stem != name and found.adapt:
        tensors = found.adapt(tensors)
    elif image_size is None and notes.get(SIDE, "").isdecimal():
        image_size = min(int(notes[SIDE]), MAX_SIDE)
    config = from_json(str(found.adapter), notes[CONFIG]) if found.adapter and CONFIG in notes else None
    model = build(name, image_size, config)
    channels = _map_channels(tensors)
    if channels not in (None, model.map_channels):
        model = build(name, image_size, config, channels)
    load_into(model, tensors)
    return model.eval()


def _map_channels(tensors: dict[str, Tensor]) -> int | None:
    """Channels of the dense prompt path that these weights were trained with."""
    for key, tensor in tensors.items():
        if key.endswith("sam_prompt_encoder.mask_downscaling.0.weight") and tensor.ndim == 4:
            return tensor.shape[1] if 0 < tensor.shape[1] <= MAX_CHANNELS else None
    return None


def how(name: str) -> str:
    """The command that brings the weights of model `name` to this machine."""
    found = entry(name)
    if "." not in name and found.weights_of:
        return how(found.weights_of)
    if "." not in name and (found.url or found.convert):
        return f"uniultra weights get {name}"
    train = "uniultra train RECIPE"
    if found.base and find(found.base) is None and how(found.base) != train:
        return f"{how(found.base)}, then {train}"
    return train
