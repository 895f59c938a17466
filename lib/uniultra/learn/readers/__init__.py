"""Readers of public data sets as their publishers lay them out, one file each; `importing` brings them in."""

from uniultra.learn.readers.registry import layout, names
from uniultra.learn.readers.types import Case, Label, Layout, Listing, Pair

__all__ = ["Case", "Label", "Layout", "Listing", "Pair", "layout", "names"]
