"""Registry of the layouts that have a reader."""

from __future__ import annotations

from importlib import import_module

from uniultra.datasets.readers.types import DatasetLayout
from uniultra.errors import ImageError

# Modules of this package, each with a LAYOUT.
FILES = ("busi", "camus", "ddti", "hc18", "jnu_ifm", "psfhs", "tn3k")


def names() -> tuple[str, ...]:
    """Names of all layouts."""
    return FILES


def layout(name: str) -> DatasetLayout:
    """The layout called `name`.

    Raises:
        ImageError: unknown layout.
    """
    if name not in FILES:
        raise ImageError(f"Unknown layout; expected one of {', '.join(FILES)}.")
    selected: DatasetLayout = import_module(f"uniultra.datasets.readers.{name}").LAYOUT
    return selected
