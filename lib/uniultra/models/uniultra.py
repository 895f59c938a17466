"""UniUltra (arXiv 2511.15771): SAM2 with CH-Adapters, and its mini student.

The mini keeps Hiera-Tiny's topology at width 16 (encoder 0.8577 M parameters; 0.8645 M when the
fixed Sobel kernels are counted as the release does).
"""

from __future__ import annotations

from functools import partial

from uniultra.adapters import ch
from uniultra.models.registry import ModelEntry, register
from uniultra.models.sam2_image import HIERA, Sam2Image
from uniultra.prompts.raster import CHANNELS


def build_uniultra(
    size: str, image_size: int, *, map_channels: int = 1, config: ch.CHAdapterConfig | None = None
) -> Sam2Image:
    """SAM2's image path on Hiera `size` (mini, t, s, b, l) with CH-Adapters in its trunk."""
    model = Sam2Image(HIERA[size], image_size, map_channels)
    ch.inject(model.image_encoder.get_submodule("trunk"), config)
    return model


register(
    ModelEntry(
        name="uniultra_mini",
        system="uniultra",
        description="UniUltra-mini at 256 px: the default, made for a laptop's processor",
        builder=partial(build_uniultra, "mini", map_channels=CHANNELS),
        image_size=256,
        licence="Apache-2.0; training data: see the card",
        source="trained by this project, training/uniultra_mini.yaml",
        sha256="e8c8a18a23654f252c01ad130090e74662b0bdb41ac60b4204ba06dcff7e9d65",
    )
)

for _size, _label in (("t", "Tiny"), ("s", "Small"), ("b", "Base+"), ("l", "Large")):
    register(
        ModelEntry(
            name=f"uniultra_{_size}",
            system="uniultra",
            description=f"UniUltra on SAM2 Hiera-{_label} at 1024 px; the user supplies the weights",
            builder=partial(build_uniultra, _size),
            image_size=1024,
            licence="Apache-2.0 (SAM2.1)",
            source="SAM2.1 weights supplied by the user",
            dense_prompts="logits",
            trains=(".ch_adapters.", "sam_prompt_encoder.", "sam_mask_decoder."),
        )
    )
