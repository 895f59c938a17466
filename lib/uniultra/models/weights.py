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

from uniultra.errors import ModelError
from uniultra.models.registry import build, entry

SUFFIX = ".safetensors"


def shipped_folder() -> Path:
    """Where the default weights and their cards lie, read-only."""
    return Path(__file__).resolve().parents[3] / "apps" / "uniultra" / "model"


def user_folder() -> Path:
    """Where a person's own weights lie: `UNIULTRA_WEIGHTS`, else the user's cache."""
    default = Path.home() / ".cache" / "uniultra" / "weights"
    return Path(os.environ.get("UNIULTRA_WEIGHTS") or default)


def find(name: str) -> Path | None:
    """The weights file of model `name` on this machine: the user's own wins over the shipped one."""
    for folder in (user_folder(), shipped_folder()):
        path = folder / f"{name}{SUFFIX}"
        if path.is_file():
            return path
    return None


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def save(path: Path, model: nn.Module, metadata: dict[str, str], dtype: torch.dtype = torch.float16) -> None:
    """Write the model's weights as `dtype` safetensors, whole or not at all."""
    from safetensors.torch import save_file

    tensors = {
        key: value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype).contiguous()
        for key, value in model.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=SUFFIX)
    os.close(handle)
    try:
        save_file(tensors, temporary, metadata=metadata)
        Path(temporary).chmod(0o644)  # mkstemp makes it private
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        ModelError: the file is not safetensors, or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(
            "The weights file cannot be read as safetensors: it is damaged or of another kind. "
            "Fetch it again and compare its SHA-256."
        ) from error


def metadata(path: Path) -> dict[str, Any]:
    """The metadata written beside the weights; empty when there is none."""
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(min(size, 1 << 24)))
    return dict(header.get("__metadata__") or {})


def load_into(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy `tensors` into `model`, as float32.

    Raises:
        ModelError: names or shapes do not fit; the text names the first few.
    """
    wanted = model.state_dict()
    missing = [k for k in wanted if k not in tensors]
    unknown = [k for k in tensors if k not in wanted]
    wrong = [k for k in wanted if k in tensors and wanted[k].shape != tensors[k].shape]
    if missing or unknown or wrong:
        found = "; ".join(
            f"{len(keys)} {what} ({', '.join(keys[:3])})"
            for what, keys in (("missing", missing), ("unknown", unknown), ("of another shape", wrong))
            if keys
        )
        raise ModelError(f"These weights were made for another network: tensors {found}.")
    model.load_state_dict({k: v.to(wanted[k].dtype) for k, v in tensors.items()})


def load(name: str) -> tuple[nn.Module, str]:
    """The model called `name` with its weights, in eval mode, and the weights' SHA-256.

    Raises:
        ModelError: unknown model, or its weights are missing, damaged or made for another network.
    """
    found = entry(name)
    path = found.weights_file
    if path is None:
        raise ModelError(
            f"The weights of {name!r} are not on this machine. Put {name}{SUFFIX} into the folder named by "
            "UNIULTRA_WEIGHTS, or choose a model that `uniultra models` lists as available."
        )
    digest = file_sha256(path)
    if found.sha256 and path.parent == shipped_folder() and digest != found.sha256:
        raise ModelError(
            f"The shipped weights of {name!r} are damaged (their SHA-256 differs). Restore the released file."
        )
    model = build(name)
    load_into(model, read(path))
    return model.eval(), digest
