"""SAM2.1 on Hiera T, S, B+, L, and the mini trunk of UniUltra's student: the bases of the Hiera systems."""

from __future__ import annotations

from functools import partial

from uniultra.models import mappings
from uniultra.models.official import OFFICIAL
from uniultra.models.registry import ModelEntry, register
from uniultra.networks.sam2_image import HIERA, LABELS, Sam2Image
from uniultra.prompts.raster import CHANNELS


def build_sam2(size: str, image_size: int, *, map_channels: int = 1) -> Sam2Image:
    """SAM2's image path on Hiera `size` (mini, t, s, b, l)."""
    return Sam2Image(HIERA[size], image_size, map_channels)


register(
    ModelEntry(
        name="sam2_mini",
        system="sam2",
        description="SAM2 on Hiera-mini at 256 px: base of the mini systems; no weights are published",
        builder=partial(build_sam2, "mini", map_channels=CHANNELS),
        image_size=256,
        licence="of the weights you train",
        source="trained by the user, training/suite.yaml",
    )
)

for _size in ("t", "s", "b", "l"):
    register(
        ModelEntry(
            name=f"sam2_{_size}",
            system="sam2",
            description=f"SAM2.1 Hiera-{LABELS[_size]} at 1024 px as published, without its video memory",
            builder=partial(build_sam2, _size),
            image_size=1024,
            licence="Apache-2.0",
            source="SAM2.1, Meta, 2024-09-29",
            url=OFFICIAL[f"sam2_{_size}"].url,
            url_sha256=OFFICIAL[f"sam2_{_size}"].sha256,
            convert=mappings.SAM2,
        )
    )
