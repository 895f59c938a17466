"""UniUltra (arXiv 2511.15771): SAM2 with CH-Adapters, and its mini student.

The mini keeps Hiera-Tiny's topology at width 16 (encoder 0.8577 M parameters; 0.8645 M when the
fixed Sobel kernels are counted as the release does).
"""

from __future__ import annotations

from uniultra.models.registry import ModelEntry, register
from uniultra.networks.sam2_image import LABELS

register(
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
    )
)

for _size in ("t", "s", "b", "l"):
    register(
        ModelEntry(
            name=f"uniultra_{_size}",
            system="uniultra",
            description=f"UniUltra on SAM2.1 Hiera-{LABELS[_size]} at 1024 px",
            base=f"sam2_{_size}",
            adapter="ch",
            image_size=1024,
            licence="Apache-2.0 (SAM2.1); of the adapter: yours",
            source="trained by the user on SAM2.1 weights, training/uniultra.yaml",
        )
    )
