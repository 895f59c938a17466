"""Networks by name: the registry and the factory.

Example:
    >>> from uniultra.models import build, entry, names
    >>> "uniultra_mini" in names()
    True
    >>> model = entry("uniultra_mini")
    >>> model.image_size, model.base, model.adapter
    (256, 'sam2_mini', 'ch')
    >>> network = build("uniultra_mini", image_size=64)  # random weights
    >>> sum(p.numel() for p in network.parameters())
    5079241
"""

from uniultra.models import zoo
from uniultra.models.factory import build
from uniultra.models.registry import ModelEntry, entry, names

zoo.register_all()

__all__ = ["ModelEntry", "build", "entry", "names"]
