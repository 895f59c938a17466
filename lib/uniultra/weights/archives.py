"""PyTorch's zip archives through its restricted loader, after PyTorch's own scan of what they name."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from uniultra.errors import ModelError

MAX_ENTRIES = 50_000
MAX_PROGRAM = 64 << 20  # bytes of data.pkl; that of SAM ViT-H is 90 kB
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
_STAND_INS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_Discarded, "torch.optim.adam.Adam"),
    (_Discarded, "torch.optim.adamw.AdamW"),
    (_empty, "collections.defaultdict"),
    (_Discarded, "builtins.dict"),
]
_DAMAGED = (
    "The checkpoint is damaged, cut off, or not of tensors only. Fetch it again and compare its SHA-256."
)


def read_archive(path: Path, size: int) -> Any:
    """What a checkpoint of `size` bytes holds, its tensors mapped from the file.

    Raises:
        ModelError: it is damaged, compressed, a TorchScript program, or names anything but tensors (an
            optimiser is skipped).
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive, size)
        with _only_stand_ins():
            # Read without being run, by the parser that would load it: two may differ over a hostile file.
            strange = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
            if strange:
                raise ModelError(
                    "Expected a checkpoint of tensors only; this one also asks for "
                    f"{ascii(strange[0])[:80]}, and what is no tensor could run code. It was not opened, and "
                    "there is no switch to open it. Ask its source for a .safetensors file."
                )
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (zipfile.BadZipFile, NotImplementedError, *_FAILURES) as error:
        raise ModelError(_DAMAGED) from error


def _check(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse what PyTorch does not write, before it reads anything.

    Raises:
        ModelError: another kind of archive, or one that claims more bytes than the file has.
    """
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
    if entries[names.index("data.pkl")].file_size > MAX_PROGRAM:
        raise ModelError("Expected a checkpoint of tensors; its table of contents alone is too big.")


@contextmanager
def _only_stand_ins() -> Iterator[None]:
    """PyTorch's restrictions with the stand-ins, and without what other libraries may have allowed."""
    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        with torch.serialization.safe_globals(_STAND_INS):
            yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(allowed)
