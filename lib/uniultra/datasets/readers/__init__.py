"""Readers of public data sets in their published layouts, one module each."""

from uniultra.datasets.readers.registry import layout, names

__all__ = ["layout", "names"]
