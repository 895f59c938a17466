"""Windows: any bit depth to uint8, with the same mapping for every frame of a file.

Deep pixels without a window of their own are stretched between the 0.1st and the 99.9th percentile of
pixels sampled evenly over the whole file, so that frames keep their brightness relative to each other and
a few hot pixels do not darken the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniultra.images.types import Picture

PERCENTILES = (0.1, 99.9)
SAMPLED_FRAMES = 32
SAMPLED_PIXELS = 2**22


@dataclass(frozen=True)
class Window:
    """Values from `low` (black) to `high` (white), linear between, clipped outside."""

    low: float
    high: float

    def apply(self, values: NDArray[Any]) -> Picture:
        """Map `values` of any shape and number type to uint8; NaN becomes black."""
        scaled = (values.astype(np.float64) - self.low) * (255.0 / max(self.high - self.low, 1e-300))
        scaled = np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0)
        return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def percentile_window(read_raw: Callable[[int], NDArray[Any]], frames: int) -> Window:
    """The window of a whole file from at most 32 evenly spaced frames, the first and last among them."""
    chosen = sorted({round(t) for t in np.linspace(0, frames - 1, min(frames, SAMPLED_FRAMES))})
    samples = []
    for t in chosen:
        values = read_raw(t).ravel()
        # A stride that is prime to the row length would be ideal; an odd one avoids sampling columns.
        stride = math.ceil(values.size * len(chosen) / SAMPLED_PIXELS) | 1
        samples.append(values[::stride])
    values = np.concatenate(samples)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return Window(0.0, 1.0)
    low, high = (float(v) for v in np.percentile(values, PERCENTILES))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return Window(low, high if high > low else low + 1.0)
