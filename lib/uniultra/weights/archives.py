"""PyTorch's zip archives through its restricted loader, looked through before it sees them."""

from __future__ import annotations

import pickle
import pickletools
import struct
import zipfile
from pathlib import Path
from typing import Any

import torch

from uniultra.errors import ModelError

MAX_ENTRIES = 50_000
MAX_PROGRAM = 64 << 20  # bytes of data.pkl; that of SAM ViT-H is 90 kB
_STORAGES = ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Short", "Char", "Byte", "Bool")
_TENSORS = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    *(f"torch {kind}Storage" for kind in _STORAGES),
}
_OTHER_WAYS = {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID"}
# Whatever a damaged or hostile program makes the restricted loader raise.
_FAILURES = (
    pickle.UnpicklingError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    EOFError,
    OSError,
    MemoryError,
    struct.error,
)


class _Discarded:
    """Stands where a training script pickled its optimiser: takes anything, keeps and does nothing."""

    def __new__(cls, *_anything: Any) -> _Discarded:
        return super().__new__(cls)

    def __setstate__(self, _state: Any) -> None:
        pass


def _empty(*_anything: Any) -> dict[Any, Any]:
    """Stands for the defaultdict inside an optimiser."""
    return {}


# SAM-Med2D's release holds its optimiser as an object beside the weights.
_STAND_INS = {
    "torch.optim.adam Adam": _Discarded,
    "torch.optim.adamw AdamW": _Discarded,
    "collections defaultdict": _empty,
    "__builtin__ dict": _Discarded,
    "builtins dict": _Discarded,
}


def read_archive(path: Path, size: int) -> Any:
    """What a checkpoint of `size` bytes holds, its tensors mapped from the file.

    Raises:
        ModelError: it is damaged, compressed, a TorchScript program, or names anything but tensors (an
            optimiser is passed over).
    """
    try:
        with zipfile.ZipFile(path) as archive:
            program = _program(archive, size)
        wanted = _asked_for(program)
    except (zipfile.BadZipFile, NotImplementedError, *_FAILURES) as error:
        raise ModelError(_DAMAGED) from error
    strange = sorted(wanted - _TENSORS - _STAND_INS.keys())
    if strange:
        named = ascii(strange[0].replace(" ", "."))[:80]
        raise ModelError(
            f"Expected a checkpoint of tensors only; this one also asks for {named}, and what is no tensor "
            "could run code. It was not opened, and there is no switch to open it. Ask its source for a "
            ".safetensors file."
        )
    try:
        return _load(path)
    except _FAILURES as error:
        raise ModelError(_DAMAGED) from error


_DAMAGED = (
    "The checkpoint is damaged, cut off, or not of tensors only. Fetch it again and compare its SHA-256."
)


def _asked_for(program: bytes) -> set[str]:
    """What a pickle names outside itself, read without running it."""
    steps = [(opcode.name, arg) for opcode, arg, _ in pickletools.genops(program)]
    named = {str(arg) for name, arg in steps if name == "GLOBAL"}
    # PyTorch writes none of these other ways to name something.
    return named | {name for name, _ in steps if name in _OTHER_WAYS}


def _program(archive: zipfile.ZipFile, size: int) -> bytes:
    """The pickle of `archive`, unread."""
    entries = archive.infolist()
    names = [entry.filename.partition("/")[2] for entry in entries]
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        raise ModelError("Expected a checkpoint of tensors; this is a TorchScript program, which is code.")
    if names.count("data.pkl") != 1:
        raise ModelError("Expected a checkpoint written by PyTorch; this is another zip archive.")
    # PyTorch stores without compression, so that whatever unpacks to more than the file is a bomb.
    if (
        len(entries) > MAX_ENTRIES
        or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
        or sum(entry.file_size for entry in entries) > size
    ):
        raise ModelError("Expected a plain archive of PyTorch; this one is packed in another way.")
    program = entries[names.index("data.pkl")]
    if program.file_size > MAX_PROGRAM:
        raise ModelError("Expected a checkpoint of tensors; its table of contents alone is too big.")
    return archive.read(program)


def _load(path: Path) -> Any:
    """`torch.load` with its restrictions, and without what other libraries may have allowed it."""
    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(
        [
            (stand_in, name.replace("__builtin__", "builtins").replace(" ", "."))
            for name, stand_in in _STAND_INS.items()
        ]
    )
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(allowed)
