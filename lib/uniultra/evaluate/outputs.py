"""Refuse before hours are spent what could not be written after them."""

from __future__ import annotations

import os
from pathlib import Path

from uniultra.errors import RequestError


def check_json(path: Path) -> None:
    """Check that a result file can be written; its folder is made.

    Raises:
        RequestError: another ending than .json, or a place where nothing can be written.
    """
    if path.suffix != ".json":
        raise RequestError("Expected the results' name to end in .json. Name the file so.")
    check_folder(path.parent)
    if path.is_dir() or (path.exists() and not os.access(path, os.W_OK)):
        raise RequestError("The results cannot be written there. Name a .json in another folder.")


def check_folder(folder: Path) -> None:
    """Check that files can be written into a folder; it is made.

    Raises:
        RequestError: it cannot be made, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise RequestError("The output folder cannot be made. Name another one.") from None
    if not os.access(folder, os.W_OK):
        raise RequestError("The output folder cannot be written to. Name another one.")
