"""Checks before a long measurement that its results can be written after it."""

from __future__ import annotations

import os
from pathlib import Path

from uniultra.errors import RequestError


def check_json(path: Path) -> None:
    """Check that a result file can be written; its folder is created.

    Raises:
        RequestError: the name does not end in .json, or the place is not writable.
    """
    if path.suffix != ".json":
        raise RequestError("Expected a name ending in .json for the results. Rename the file.")
    check_folder(path.parent)
    if path.is_dir() or (path.exists() and not os.access(path, os.W_OK)):
        raise RequestError("The results cannot be written there. Name a .json file in another folder.")


def check_folder(folder: Path) -> None:
    """Check that files can be written into a folder; it is created.

    Raises:
        RequestError: the folder cannot be created or is not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise RequestError("The output folder cannot be created. Name another folder.") from None
    if not os.access(folder, os.W_OK):
        raise RequestError("The output folder cannot be written to. Name another folder.")
