"""LoRA on SAM2.1: UniUltra's baseline, on the same bases."""

from __future__ import annotations

from uniultra.models.registry import ModelEntry
from uniultra.networks.sam2_image import LABELS, SIDES

LICENCES = {"mini": "of the weights you train"}
MODELS = [
    ModelEntry(
        name=f"lora_{size}",
        system="baseline",
        description=f"LoRA on SAM2 Hiera-{LABELS[size]} at {side} px",
        base=f"sam2_{size}",
        adapter="lora",
        image_size=side,
        licence=LICENCES.get(size, "Apache-2.0 (SAM2.1); of the adapter: yours"),
        source="trained by the user, training/lora.yaml",
    )
    for size, side in SIDES.items()
]
