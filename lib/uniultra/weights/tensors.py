"""Tensor files: safetensors, never pickle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uniultra.errors import ModelError
from uniultra.files import atomic, checksummed
from uniultra.networks.network import PromptNetwork

SUFFIX = ".safetensors"
SIDE = "image_size"  # key of a file's metadata: side of the input in training, in pixels
MAX_SIDE = 4096
_DAMAGED = (
    "The weights file cannot be read as safetensors: it is damaged or of another kind. "
    "Fetch it again and compare its SHA-256."
)


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a weights file, or of the one in a bundle's folder."""
    return checksummed.sha256(path / f"weights{SUFFIX}" if path.is_dir() else path)


def save(path: Path, model: nn.Module, metadata: dict[str, str], dtype: torch.dtype = torch.float16) -> None:
    """Write a network's weights as `dtype` safetensors, atomically; the input side is added to the metadata.

    Example:
        >>> import tempfile
        >>> from uniultra.models import build
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "weights.safetensors"
        ...     save(path, build("uniultra_mini", image_size=64), {"note": "random"})
        ...     tensors, notes = read(path), metadata(path)
        >>> tensors["no_mem_embed"].dtype, notes == {"image_size": "64", "note": "random"}
        (torch.float16, True)
    """
    if isinstance(model, PromptNetwork):
        metadata = {SIDE: str(model.image_size)} | metadata
    save_tensors(path, model.state_dict(), metadata, dtype)


def save_tensors(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, str], dtype: torch.dtype = torch.float32
) -> None:
    """Write tensors as safetensors, floating-point ones as `dtype`, atomically."""
    from safetensors.torch import save_file

    plain = {
        # Copies, because safetensors refuses tensors that share memory (views, tied layers).
        key: value.detach()
        .to("cpu", dtype if value.is_floating_point() else value.dtype, copy=True)
        .contiguous()
        for key, value in tensors.items()
    }
    with atomic.staged(path.parent) as temporary:
        save_file(plain, temporary, metadata=metadata)
        _sort_metadata(temporary)
        temporary.replace(path)


@contextmanager
def writing(content: str) -> Iterator[None]:
    """Context manager that turns an OSError into a ModelError which says what could not be written."""
    try:
        yield
    except OSError as error:
        raise ModelError(
            f"The {content} cannot be written ({error.strerror or 'no reason given'}). Make room, or set "
            "UNIULTRA_WEIGHTS to a folder that can be written."
        ) from error


def _sort_metadata(path: Path) -> None:
    """Sort the metadata of a file: safetensors' order is random, and equal weights must be equal bytes."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= length:
            file.seek(8)
            file.write(text.ljust(length))


def read(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file.

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
    """Read the metadata of a safetensors file; empty if there is none.

    Raises:
        ModelError: the file is not safetensors, or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as opened:
            return dict(opened.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(_DAMAGED) from error


def misfit(state: dict[str, Tensor], tensors: dict[str, Tensor]) -> str:
    """Differences in names and shapes between `tensors` and a network's `state`, as text; empty if none."""
    missing = [k for k in state if k not in tensors]
    unknown = [k for k in tensors if k not in state]
    wrong = [k for k in state if k in tensors and state[k].shape != tensors[k].shape]
    return "; ".join(
        f"{len(keys)} {what} ({', '.join(keys[:3])})"
        for what, keys in (("missing", missing), ("unknown", unknown), ("of another shape", wrong))
        if keys
    )
