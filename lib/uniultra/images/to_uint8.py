"""Converts samples of any number type to uint8, with one window for the whole file."""

from __future__ import annotations

from typing import Any

import numpy as np

from uniultra.images.colour import over_black
from uniultra.images.frames import Kept, RawReader, ReadFrame
from uniultra.images.types import Picture
from uniultra.images.window import percentile_window


def uint8_reader(read_raw: RawReader, frames: int) -> ReadFrame:
    """Reader of pictures `(H,W)` or `(H,W,3)` from samples `(H,W)`, `(H,W,2)`, `(H,W,3)` or `(H,W,4)`.

    Eight-bit samples are unchanged; deeper ones share one window, so colours keep their balance. A
    second or fourth channel is opacity: transparent pixels become black.
    """
    window = Kept(lambda: percentile_window(lambda t: _without_alpha(read_raw(t)), frames))

    def read_frame(t: int) -> Picture:
        samples = read_raw(t)
        if samples.dtype == np.uint8:
            pixels = samples
        else:
            colour = window().apply(_without_alpha(samples))
            if samples.ndim == 2 or samples.shape[-1] == 3:
                return colour
            alpha = np.rint(samples[..., -1:] * (255.0 / np.iinfo(samples.dtype).max)).astype(np.uint8)
            pixels = np.concatenate([np.atleast_3d(colour), alpha], axis=-1)
        if pixels.ndim == 3 and pixels.shape[-1] in (2, 4):
            return over_black(pixels)
        # A copy: `samples` may be a view of a cached array, or read-only.
        return np.array(pixels)

    return read_frame


def _without_alpha(samples: Any) -> Any:
    if samples.ndim == 2:
        return samples
    return samples[..., 0] if samples.shape[-1] == 2 else samples[..., :3]
