"""Readers of public data sets as their publishers lay them out, one file each; `importing` brings them in."""

from uniultra.datasets.readers.registry import layout, names

__all__ = ["layout", "names"]
