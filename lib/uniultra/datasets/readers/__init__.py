"""Readers of public data sets as their publishers lay them out, one file each; `importing` brings them in."""

from uniultra.datasets.readers.registry import layout, names
from uniultra.datasets.readers.types import Case, Label, Layout, Listing, Pair

__all__ = ["Case", "Label", "Layout", "Listing", "Pair", "layout", "names"]
