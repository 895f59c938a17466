"""SAM ViT-B and the systems built on it: SAM-Med2D, SAMUS (arXiv 2309.06824), and SAMUS ported to Hiera."""

from __future__ import annotations

from functools import partial

from uniultra.models import mappings
from uniultra.models.official import OFFICIAL
from uniultra.models.registry import ModelEntry
from uniultra.networks.sam2_image import LABELS
from uniultra.networks.sam_image import build_sam
from uniultra.networks.sam_vit import resize_tables

MODELS = [
    ModelEntry(
        name="sam_b",
        system="sam",
        description="SAM ViT-B at 1024 px as published",
        builder=build_sam,
        image_size=1024,
        licence="Apache-2.0",
        source="Segment Anything, Meta, 2023-04-05",
        fit="pad",
        url=OFFICIAL["sam_b"].url,
        url_sha256=OFFICIAL["sam_b"].sha256,
        convert=mappings.SAM_VIT,
    ),
    ModelEntry(
        name="sam_b_256",
        system="sam",
        description="SAM ViT-B at 256 px, tables of positions resized: base of SAM-Med2D",
        builder=build_sam,
        image_size=256,
        licence="Apache-2.0",
        source="Segment Anything, Meta, 2023-04-05",
        weights_of="sam_b",
        adapt=partial(resize_tables, grid=16),
    ),
    ModelEntry(
        name="sam_b_overlap",
        system="sam",
        description="SAM ViT-B at 256 px with overlapped patches: base of SAMUS",
        builder=partial(build_sam, overlapped=True),
        image_size=256,
        licence="Apache-2.0",
        source="Segment Anything, Meta, 2023-04-05",
        # SAMUS feeds grey in 0..1 without normalisation to SAM's frozen patch embedding; so must its base.
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        grey=True,
        weights_of="sam_b",
        adapt=partial(resize_tables, grid=32, keep_table=True),
    ),
    ModelEntry(
        name="sam_med2d",
        system="sam_med2d",
        description="SAM-Med2D at 256 px: an adapter of 15 M parameters beside every MLP of SAM ViT-B",
        base="sam_b_256",
        adapter="med2d",
        image_size=256,
        licence="Apache-2.0",
        source="SAM-Med2D, OpenGVLab, 2023-08; Google Drive",
        convert=mappings.SAM_MED2D,
    ),
    ModelEntry(
        name="samus",
        system="samus",
        description="SAMUS at 256 px: a CNN branch beside a frozen SAM ViT-B",
        base="sam_b_overlap",
        adapter="samus",
        image_size=256,
        licence="MIT",
        source="SAMUS, 2024; Google Drive",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        grey=True,
        convert=mappings.SAMUS,
    ),
    *(
        ModelEntry(
            name=f"samus_{size}",
            system="samus",
            description=f"SAMUS on SAM2.1 Hiera-{LABELS[size]}: a CNN branch beside a frozen trunk",
            base=f"sam2_{size}",
            adapter="samus_hiera",
            image_size=256 if size == "mini" else 512,
            licence="Apache-2.0 (SAM2.1); of the adapter: yours",
            source="trained by the user, training/samus.yaml",
        )
        for size in ("mini", "t", "s", "b", "l")
    ),
]
