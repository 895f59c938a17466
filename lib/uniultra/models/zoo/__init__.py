"""Registry entries of the models, one file per family."""

from uniultra.models.registry import register
from uniultra.models.zoo import autosamus, baselines, lgmedseg, lora, sam2, samus, uniultra


def register_all() -> None:
    """Register every model, in the order in which `uniultra models` lists them."""
    for family in (sam2, uniultra, samus, lora, lgmedseg, autosamus, baselines):
        for entry in family.MODELS:
            register(entry)
