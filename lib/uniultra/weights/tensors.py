"""Files of tensors: safetensors, never pickle."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uniultra.errors import ModelError
from uniultra.files import atomic
from uniultra.networks.network import PromptNetwork

SUFFIX = ".safetensors"
SIDE = "image_size"  # key of a file's metadata: side of the input that the weights were trained at
MAX_SIDE = 4096
_DAMAGED = (
    "The weights file cannot be read as safetensors: it is damaged or of another kind. "
    "Fetch it again and compare its SHA-256."
)


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
    with atomic.staged(path.parent) as temporary:
        save_file(plain, temporary, metadata=metadata)
        _sort_metadata(temporary)
        temporary.replace(path)


def unwritable(what: str, error: OSError) -> ModelError:
    """The error for weights that the disk does not take."""
    return ModelError(
        f"The {what} cannot be written ({error.strerror or 'no reason given'}). Make room, or set "
        "UNIULTRA_WEIGHTS to a folder that can be written."
    )


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
