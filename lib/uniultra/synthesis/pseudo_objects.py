"""Pseudo-objects: plausible regions of a real picture, found without labels.

Edge-bounded superpixels, and dark or bright blobs of the smoothed picture. They teach a network to segment
whatever is prompted, in organs that no data set labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import felzenszwalb

from uniultra.prompts.simulation.clicks_boxes import components


def pseudo_objects(
    picture: NDArray[np.uint8], rng: np.random.Generator, count: int = 12, smallest: int = 80
) -> NDArray[np.bool_]:
    """Up to `count` regions `(N,H,W)` bool of a grey picture `(H,W)`, each smooth and connected."""
    grey = ndimage.gaussian_filter(picture.astype(np.float32) / 255, rng.uniform(1.5, 3))
    largest = 0.35 * grey.size
    candidates: list[NDArray[np.bool_]] = []
    for scale in (60, 300):
        labels = felzenszwalb(grey, scale=scale, sigma=0, min_size=200)
        candidates += [labels == n for n in np.unique(labels)]
    inside = grey > 0.02
    for quantile in (15, 30, 75, 90):
        level = np.percentile(grey[inside], quantile) if inside.any() else 0.5
        region = grey < level if quantile < 50 else grey > level
        candidates += components(ndimage.binary_opening(region & inside, iterations=2), smallest)[:12]
    regions = []
    for n in rng.permutation(len(candidates)):
        region = ndimage.binary_fill_holes(ndimage.binary_opening(candidates[n], iterations=2))
        parts = components(region, smallest)
        if not parts or parts[0].sum() > largest or grey[parts[0]].mean() < 0.02:
            continue
        regions.append(parts[0])
        if len(regions) == count:
            break
    return np.stack(regions) if regions else np.zeros((0, *grey.shape), bool)
