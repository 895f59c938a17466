"""UniUltra (arXiv 2511.15771): SAM2 with CH-Adapters, and its mini student.

The mini has Hiera-Tiny's topology at width 16 (encoder 0.8577 M parameters; 0.8645 M with the fixed Sobel
kernels, which the release counts).
"""

from __future__ import annotations

from uniultra.models.registry import ModelEntry
from uniultra.networks.sam2_image import LABELS

MODELS = [
    ModelEntry(
        name="uniultra_mini",
        system="uniultra",
        description="UniUltra-mini at 256 px: the default, made for a laptop's processor",
        base="sam2_mini",
        adapter="ch",
        image_size=256,
        licence="Apache-2.0; training data: see the card",
        source="trained by this project, training/default.yaml",
        trains=("",),
        closer=True,
    ),
    *(
        ModelEntry(
            name=f"uniultra_{size}",
            system="uniultra",
            description=f"UniUltra on SAM2.1 Hiera-{LABELS[size]} at 1024 px",
            base=f"sam2_{size}",
            adapter="ch",
            image_size=1024,
            licence="Apache-2.0 (SAM2.1); of the adapter: yours",
            source="trained by the user on SAM2.1 weights, training/uniultra.yaml",
        )
        for size in ("t", "s", "b", "l")
    ),
]
