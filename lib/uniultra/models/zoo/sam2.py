"""SAM2.1 on Hiera T, S, B+, L, and the mini trunk of UniUltra's student: the bases of the Hiera systems."""

from __future__ import annotations

from functools import partial

from uniultra.models import mappings
from uniultra.models.official import OFFICIAL
from uniultra.models.registry import ModelEntry
from uniultra.networks.sam2_image import HIERA, LABELS, Sam2Image
from uniultra.prompts.raster import CHANNELS

MODELS = [
    ModelEntry(
        name="sam2_mini",
        system="sam2",
        description="SAM2 on Hiera-mini at 256 px: base of the mini systems; no weights are published",
        builder=partial(Sam2Image, HIERA["mini"], map_channels=CHANNELS),
        image_size=256,
        licence="of the weights you train",
        source="trained by the user, training/suite.yaml",
    ),
    *(
        ModelEntry(
            name=f"sam2_{size}",
            system="sam2",
            description=f"SAM2.1 Hiera-{LABELS[size]} at 1024 px as published, without its video memory",
            builder=partial(Sam2Image, HIERA[size]),
            image_size=1024,
            licence="Apache-2.0",
            source="SAM2.1, Meta, 2024-09-29",
            url=OFFICIAL[f"sam2_{size}"].url,
            url_sha256=OFFICIAL[f"sam2_{size}"].sha256,
            convert=mappings.SAM2,
        )
        for size in ("t", "s", "b", "l")
    ),
]
