"""LG-MedSeg (DOI 10.12677/mos.2025.144358) and its bases: MobileSAM, and TinyViT under SAM2's decoder.

A TinyViT-5M student of SAM-Med2D with LRAdapters. At 256 pixels it has SAM-Med2D's grid, so that the
teacher's prompt encoder and mask decoder fit unchanged.
"""

from __future__ import annotations

from uniultra.models import mappings
from uniultra.models.official import OFFICIAL
from uniultra.models.registry import ModelEntry
from uniultra.networks.network import check_side
from uniultra.networks.sam2_image import Sam2Image
from uniultra.networks.sam_image import SamImage
from uniultra.networks.tiny_vit import STRIDE, TinyVitEncoder, TinyVitPyramid


def build_mobile_sam(image_size: int, *, map_channels: int = 1) -> SamImage:
    """Build SAM on TinyViT-5M.

    Raises:
        ModelError: `image_size` is not a multiple of 32.
    """
    check_side(image_size)
    return SamImage(TinyVitEncoder(), image_size, image_size // STRIDE, map_channels)


def build_sam2_tinyvit(image_size: int, *, map_channels: int = 1) -> Sam2Image:
    """Build SAM2's image path on TinyViT-5M.

    Raises:
        ModelError: `image_size` is not a multiple of 32.
    """
    return Sam2Image(TinyVitPyramid(), image_size, map_channels)


MODELS = [
    ModelEntry(
        name="mobile_sam",
        system="sam",
        description="MobileSAM at 1024 px as published: SAM with a TinyViT-5M encoder",
        builder=build_mobile_sam,
        image_size=1024,
        fit="pad",
        licence="Apache-2.0",
        source="MobileSAM, Zhang et al., 2023",
        url=OFFICIAL["mobile_sam"].url,
        url_sha256=OFFICIAL["mobile_sam"].sha256,
        convert=mappings.MOBILE_SAM,
    ),
    ModelEntry(
        name="lgmedseg",
        system="lgmedseg",
        description="LG-MedSeg at 256 px: TinyViT-5M, distilled from SAM-Med2D, with LRAdapters",
        base="mobile_sam",
        adapter="lr",
        image_size=256,
        licence="Apache-2.0 (MobileSAM); of the adapter: yours",
        source="trained by the user, training/lgmedseg.yaml; the authors published no weights",
    ),
    ModelEntry(
        name="sam2_tinyvit",
        system="sam2",
        description="SAM2's decoder on TinyViT-5M at 256 px, to be distilled from a SAM2.1 encoder",
        builder=build_sam2_tinyvit,
        image_size=256,
        licence="of the weights you train",
        source="trained by the user",
    ),
    ModelEntry(
        name="lgmedseg_sam2",
        system="lgmedseg",
        description="LG-MedSeg's student and LRAdapters at 256 px with SAM2's decoder instead of SAM's",
        base="sam2_tinyvit",
        adapter="lr",
        image_size=256,
        licence="of the weights you train",
        source="trained by the user",
    ),
]
