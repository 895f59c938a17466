"""Networks, their registry and the only loader of weights."""

from uniultra.models.registry import ModelEntry, build, entry, names

__all__ = ["ModelEntry", "build", "entry", "names"]
