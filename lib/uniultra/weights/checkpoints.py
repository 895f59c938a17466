"""Somebody else's checkpoint, read without running anything that is in it.

A `.safetensors` file holds tensors only. A `.pt` or `.pth` file is a zip archive with a pickle, a small
program that builds objects. It is opened by PyTorch's restricted loader and by nothing else, after its
program was read (not run) and found to name nothing but tensors. There is no way round for a file that
is refused (CVE-2025-32434, CVE-2025-58756).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from uniultra.errors import ModelError
from uniultra.weights.archives import read_archive
from uniultra.weights.tensors import read

MAX_BYTES = 8 << 30  # SAM-Med2D's release is 2.6 GB, with its optimiser
MAX_TENSORS = 20_000
MAX_NAME = 256
# Training scripts put the weights under one of these names, beside an optimiser or an epoch.
WRAPPERS = ("model", "state_dict", "model_state_dict", "ema")
_DTYPES = {torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.bool}
_OTHER_KINDS = (
    (b"<", "a web page, not a checkpoint (Google Drive shows one first); save the file itself"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file; fetch it with `git lfs pull`"),
    (b"\x80", "a bare pickle, the format of PyTorch before 1.6, which cannot be read safely"),
)


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors`, `.pt` or `.pth` file by their names, on the CPU.

    Weights nested under `model`, `state_dict`, `model_state_dict` or `ema` are found there; what lies
    beside them is left; a prefix `module.` on every name goes. The tensors may be views of the file: it
    must stay as it is while they are used.

    Raises:
        ModelError: no such file, empty, too big, cut off, of another kind, holding anything but tensors,
            or a tensor that is sparse, quantised, not finite, larger than its data or badly named.
    """
    size = _size(path)
    with path.open("rb") as stream:
        start = stream.read(512)
    if start.startswith(b"PK\x03\x04"):
        found = _unwrap(read_archive(path, size))
    elif start[8:9] == b"{":
        found = read(path)
    else:
        raise ModelError(f"Expected a .safetensors, .pt or .pth checkpoint; this is {_kind(start)}.")
    return _checked(found)


def _size(path: Path) -> int:
    if not path.is_file():
        raise ModelError("There is no such checkpoint file; name a .safetensors, .pt or .pth file.")
    size = path.stat().st_size
    if not 16 <= size <= MAX_BYTES:
        raise ModelError(
            f"Expected a checkpoint of at most {MAX_BYTES >> 30} GiB; this file has {size} bytes. "
            "It was cut off or is something else."
        )
    return size


def _kind(start: bytes) -> str:
    if start[257:262] == b"ustar":
        return "a tar archive, an old format of PyTorch that cannot be read safely"
    for magic, said in _OTHER_KINDS:
        if start.lstrip().startswith(magic):
            return said
    return "of another kind or damaged; fetch it again and compare its SHA-256"


def _unwrap(found: Any, depth: int = 3) -> Mapping[str, Any]:
    """The dictionary of tensors in `found`."""
    if not isinstance(found, dict) or not found:
        raise ModelError(
            "Expected a checkpoint that is a dictionary of tensors; this one holds another object."
        )
    if not any(isinstance(value, Tensor) for value in found.values()):
        for key in WRAPPERS:
            if depth and isinstance(found.get(key), dict):
                return _unwrap(found[key], depth - 1)
    return found


def _checked(found: Mapping[str, Any]) -> dict[str, Tensor]:
    if len(found) > MAX_TENSORS:
        raise ModelError(
            f"Expected at most {MAX_TENSORS} tensors in a checkpoint; this one has {len(found)}."
        )
    total = 0
    for name, tensor in found.items():
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not _plain(name):
            raise ModelError(
                "A name in the checkpoint is not a plain text; it is damaged or not a network's."
            )
        total += _check_tensor(name, tensor)
        if total > MAX_BYTES:
            raise ModelError(f"Expected tensors of at most {MAX_BYTES >> 30} GiB in all; there is more.")
    tensors = {name: tensor.detach() for name, tensor in found.items()}
    if all(name.startswith("module.") for name in tensors):  # of a network inside DataParallel
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return tensors


def _plain(name: str) -> bool:
    return name.isascii() and name.isprintable() and " " not in name


def _check_tensor(name: str, tensor: Any) -> int:
    """The tensor's size in bytes.

    Raises:
        ModelError: see `read_checkpoint`.
    """
    if not isinstance(tensor, Tensor):
        raise ModelError(f"Expected tensors only; {name} is another object. Save the network's state_dict.")
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.dtype not in _DTYPES:
        raise ModelError(
            f"Expected dense numbers; tensor {name} is of another kind ({tensor.dtype}, {tensor.layout})."
        )
    size = tensor.numel() * tensor.element_size()
    # A view with stride 0 claims any size: not even looked at.
    if size > tensor.untyped_storage().nbytes():
        raise ModelError(
            f"Tensor {name} claims more numbers than the checkpoint holds; it is not a network's."
        )
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        raise ModelError(f"Tensor {name} has numbers that are not finite: the checkpoint is damaged.")
    return size
