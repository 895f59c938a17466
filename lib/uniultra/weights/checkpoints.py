"""Read untrusted checkpoints without running any code in them.

A `.safetensors` file contains tensors only. A `.pt` or `.pth` file is a zip archive with a pickle, a program
that builds objects. It is opened only by PyTorch's restricted loader, after its program was scanned (not run)
and refers to nothing but tensors. No option opens a refused file (CVE-2025-32434, CVE-2025-58756).
"""

from __future__ import annotations

import re
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
NAME = r"[!-~]{1,256}"  # printable ASCII without spaces
# Keys under which training scripts save the weights, beside an optimiser or an epoch.
WRAPPERS = ("model", "state_dict", "model_state_dict", "ema")
_DTYPES = {torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.bool}
_OTHER_KINDS = (
    (b"<", "a web page, not a checkpoint (Google Drive shows one first); save the file itself"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file; fetch it with `git lfs pull`"),
    (b"\x80", "a bare pickle, the format of PyTorch before 1.6, which cannot be read safely"),
)


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a `.safetensors`, `.pt` or `.pth` file by name, on the CPU.

    Weights may be nested under `model`, `state_dict`, `model_state_dict` or `ema`; anything beside them is
    ignored. A prefix `module.` of all names is removed. The tensors may be memory-mapped: the file must not
    change while they are in use.

    Raises:
        ModelError: the file is missing, empty, too big, truncated, of another kind or contains anything but
            tensors, or a tensor is sparse, quantised, not finite, larger than its data or badly named.
    """
    size = _size(path)
    with path.open("rb") as stream:
        start = stream.read(512)
    if start.startswith(b"PK\x03\x04"):
        content = _unwrap(read_archive(path, size))
    elif start[8:9] == b"{":
        content = read(path)
    else:
        raise ModelError(f"Expected a .safetensors, .pt or .pth checkpoint; this is {_kind(start)}.")
    return _checked(content)


def _size(path: Path) -> int:
    if not path.is_file():
        raise ModelError("There is no such checkpoint file; name a .safetensors, .pt or .pth file.")
    size = path.stat().st_size
    if not 16 <= size <= MAX_BYTES:
        raise ModelError(
            f"Expected a checkpoint of at most {MAX_BYTES >> 30} GiB; this file has {size} bytes. "
            "It is truncated or of another kind."
        )
    return size


def _kind(start: bytes) -> str:
    if start[257:262] == b"ustar":
        return "a tar archive, an old format of PyTorch that cannot be read safely"
    for magic, kind in _OTHER_KINDS:
        if start.lstrip().startswith(magic):
            return kind
    return "of another kind or damaged; fetch it again and compare its SHA-256"


def _unwrap(content: Any, depth: int = 3) -> Mapping[str, Any]:
    """The dictionary of tensors in `content`."""
    if not isinstance(content, dict) or not content:
        raise ModelError("Expected a checkpoint that is a dictionary of tensors; got another object.")
    if not any(isinstance(value, Tensor) for value in content.values()):
        for key in WRAPPERS:
            if depth and isinstance(content.get(key), dict):
                return _unwrap(content[key], depth - 1)
    return content


def _checked(content: Mapping[str, Any]) -> dict[str, Tensor]:
    if len(content) > MAX_TENSORS:
        raise ModelError(f"Expected at most {MAX_TENSORS} tensors in a checkpoint; got {len(content)}.")
    total = 0
    for name, tensor in content.items():
        if not isinstance(name, str) or not re.fullmatch(NAME, name):
            raise ModelError("Expected tensor names of plain text; got another. The checkpoint is damaged.")
        total += _check_tensor(name, tensor)
        if total > MAX_BYTES:
            raise ModelError(f"Expected tensors of at most {MAX_BYTES >> 30} GiB in all; there is more.")
    tensors = {name: tensor.detach() for name, tensor in content.items()}
    if all(name.startswith("module.") for name in tensors):  # of a network inside DataParallel
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return tensors


def _check_tensor(name: str, tensor: Any) -> int:
    """Check a tensor and return its size in bytes.

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
    # A view with stride 0 can claim any size: it is refused before its values are read.
    if size > tensor.untyped_storage().nbytes():
        raise ModelError(f"Tensor {name} claims more numbers than the checkpoint holds: it is damaged.")
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        raise ModelError(f"Tensor {name} has values that are not finite: the checkpoint is damaged.")
    return size
