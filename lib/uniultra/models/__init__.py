"""Networks by name: their registry and what builds them."""

from uniultra.models import zoo as zoo
from uniultra.models.factory import build
from uniultra.models.registry import ModelEntry, entry, names

__all__ = ["ModelEntry", "build", "entry", "names"]
