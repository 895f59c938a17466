"""Colour conversions shared by the readers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniultra.images.types import Picture

# ITU-R BT.601, full range, as DICOM PS3.3 C.7.6.3.1.2 defines YBR_FULL.
_TO_RGB = np.array([[1.0, 0.0, 1.402], [1.0, -0.344136, -0.714136], [1.0, 1.772, 0.0]], dtype=np.float32)


def ybr_to_rgb(samples: NDArray[Any]) -> Picture:
    """`(H,W,3)` 8-bit YBR_FULL to RGB uint8."""
    centred = samples.astype(np.float32) - np.array([0, 128, 128], dtype=np.float32)
    return np.rint(np.clip(centred @ _TO_RGB.T, 0, 255)).astype(np.uint8)


def over_black(samples: NDArray[np.uint8]) -> Picture:
    """`(H,W,2)` grey + alpha to `(H,W)`, or `(H,W,4)` RGBA to `(H,W,3)`: transparent is black."""
    alpha = samples[..., -1:].astype(np.uint16)
    blended = (samples[..., :-1] * alpha + 127) // 255
    picture = blended.astype(np.uint8)
    return picture[..., 0] if picture.shape[-1] == 1 else picture
