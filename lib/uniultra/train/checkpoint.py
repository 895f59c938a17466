"""Training checkpoints: tensors and plain values, written atomically; the last two are kept.

A kill or a full disk may come at any byte. The new checkpoint is written beside the old ones and flushed to
the disk before any rename; renames replace whole files. Between the two renames there is no `last.pt`, only
`before.pt`: reading falls back to it, and also where `last.pt` is damaged. Reading is limited to tensors and
plain values (`weights_only`), since a checkpoint may come from another machine.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uniultra.errors import ModelError

LAST, BEFORE = "last.pt", "before.pt"


def write(folder: Path, state: dict[str, Any]) -> None:
    """Replace the folder's checkpoint; a kill at any moment leaves the old or the new checkpoint."""
    temporary = folder / "last.tmp"
    with temporary.open("wb") as stream:
        torch.save(state, stream)
        stream.flush()
        os.fsync(stream.fileno())
    if (folder / LAST).exists():
        (folder / LAST).replace(folder / BEFORE)
    temporary.replace(folder / LAST)


def read(folder: Path) -> dict[str, Any] | None:
    """The newest readable checkpoint of a folder; None without one.

    Raises:
        ModelError: all checkpoints are damaged.
    """
    paths = [path for path in (folder / LAST, folder / BEFORE) if path.is_file()]
    for path in paths:
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError):
            continue
        return state
    if paths:
        raise ModelError("The checkpoint in the output folder is damaged. Empty the folder or name another.")
    return None


def trainable_state(network: nn.Module) -> dict[str, Tensor]:
    """The state that training may change: parameters that require gradients, and persistent buffers."""
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    fixed = {name for name, _ in network.named_parameters()} - trained
    return {name: value for name, value in network.state_dict().items() if name not in fixed}


def load_state(network: nn.Module, values: dict[str, Tensor]) -> None:
    """Copy values by name into the network.

    Raises:
        ModelError: the values are of another network.
    """
    state = network.state_dict()
    if any(name not in state or state[name].shape != value.shape for name, value in values.items()):
        raise ModelError("The checkpoint in the output folder is of another network. Name another folder.")
    network.load_state_dict(values, strict=False)
