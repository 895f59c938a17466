"""LoRA on SAM2.1: the baseline beside UniUltra, on the same bases."""

from __future__ import annotations

from uniultra.models.registry import ModelEntry, register
from uniultra.networks.sam2_image import LABELS

for _size, _label in LABELS.items():
    _mini = _size == "mini"
    register(
        ModelEntry(
            name=f"lora_{_size}",
            system="baseline",
            description=f"LoRA on SAM2 Hiera-{_label} at {256 if _mini else 1024} px",
            base=f"sam2_{_size}",
            adapter="lora",
            image_size=256 if _mini else 1024,
            licence="of the weights you train" if _mini else "Apache-2.0 (SAM2.1); of the adapter: yours",
            source="trained by the user, training/lora.yaml",
        )
    )
