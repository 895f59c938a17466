"""PyTorch's zip archives, read by its restricted loader after a scan of the globals in their pickle."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from uniultra.errors import ModelError

MAX_ENTRIES = 50_000
MAX_PROGRAM = 64 << 20  # bytes of data.pkl; SAM ViT-H's has 90 kB


class _Discarded:
    """Placeholder for a pickled optimiser: accepts any state and discards it."""

    def __new__(cls, *_anything: Any) -> _Discarded:
        return super().__new__(cls)

    def __setstate__(self, _state: Any) -> None:
        pass


def _empty(*_anything: Any) -> dict[Any, Any]:
    """Placeholder for the defaultdict inside an optimiser."""
    return {}


# SAM-Med2D's release contains its optimiser as an object beside the weights.
_PLACEHOLDERS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_Discarded, "torch.optim.adam.Adam"),
    (_Discarded, "torch.optim.adamw.AdamW"),
    (_empty, "collections.defaultdict"),
    (_Discarded, "builtins.dict"),
]
_DAMAGED = (
    "The checkpoint is damaged, truncated, or not of tensors only. Fetch it again and compare its SHA-256."
)


def read_archive(path: Path, size: int) -> Any:
    """Read a checkpoint of `size` bytes; its tensors are memory-mapped. Optimisers are skipped.

    Raises:
        ModelError: it is damaged, compressed, a TorchScript program, or refers to anything but tensors.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive, size)
        with _only_placeholders():
            # Scanned, without being run, by the parser of the loader itself: two different parsers could
            # disagree about a hostile file.
            unsafe = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
            if unsafe:
                raise ModelError(
                    f"Expected a checkpoint of tensors only; this one refers to {ascii(unsafe[0])[:80]}, "
                    "which could run code. It was not opened, and no option opens it. Ask its source for a "
                    ".safetensors file."
                )
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except ModelError:
        raise
    except Exception as error:  # a damaged or hostile pickle can make the loader raise anything
        raise ModelError(_DAMAGED) from error


def _check(archive: zipfile.ZipFile, size: int) -> None:
    """Check, before PyTorch reads anything, that it could have written this archive.

    Raises:
        ModelError: another kind of archive, or its entries claim more bytes than the file has.
    """
    entries = archive.infolist()
    names = [entry.filename.partition("/")[2] for entry in entries]
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        raise ModelError("Expected a checkpoint of tensors; this is a TorchScript program, which is code.")
    if names.count("data.pkl") != 1:
        raise ModelError("Expected a checkpoint written by PyTorch; this is another zip archive.")
    # PyTorch stores without compression, so entries larger than the file are a zip bomb.
    if (
        len(entries) > MAX_ENTRIES
        or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
        or sum(entry.file_size for entry in entries) > size
    ):
        raise ModelError("Expected an uncompressed PyTorch archive; this one is packed differently.")
    if entries[names.index("data.pkl")].file_size > MAX_PROGRAM:
        raise ModelError("Expected a checkpoint of tensors; its table of contents is too big.")


@contextmanager
def _only_placeholders() -> Iterator[None]:
    """PyTorch's restrictions plus the placeholders, without globals that other libraries have allowed."""
    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        with torch.serialization.safe_globals(_PLACEHOLDERS):
            yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(allowed)
