"""Reads every supported file as an `UltrasoundImage`; writes masks with the geometry of their image."""

from uniultra.images.reader import is_ultrasound_file, read_image
from uniultra.images.types import AxisKind, Plane, UltrasoundImage
from uniultra.images.writer import MASK_ENDINGS, write_mask

__all__ = [
    "MASK_ENDINGS",
    "AxisKind",
    "Plane",
    "UltrasoundImage",
    "is_ultrasound_file",
    "read_image",
    "write_mask",
]
