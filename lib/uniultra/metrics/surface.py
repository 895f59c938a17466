"""Distances between the borders of two masks, computed by MONAI.

The border of a mask is its pixels with a 4-neighbour outside it; the edge of the picture counts as
outside. Distances are Euclidean, between pixel centres: never compare them with the Manhattan distances
at 256 px that SAMUS reports.

Empty masks: two empty masks agree (distance 0, surface Dice 1). When only one of the two is empty, the
distance is undefined: it is NaN, and an average must report how many were left out; surface Dice is then 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from uniultra.errors import ImageError
from uniultra.prompts.types import Mask

Spacing = tuple[float, float]  # (dy, dx), millimetres per pixel


def hd95(predicted: Mask, truth: Mask, spacing: Spacing | None = None) -> float:
    """95 % Hausdorff distance of two `(H,W)` masks.

    The larger of the two directed 95th percentiles (linear interpolation), as MONAI defines it.

    Args:
        predicted, truth: the masks.
        spacing: `(dy,dx)` in mm for an answer in mm; None for pixels.

    Returns:
        The distance; 0.0 when both are empty, NaN when one is.

    Raises:
        ImageError: masks of different sizes, or a spacing that is not above zero.

    A square moved by 7 pixels, at 0.5 mm per pixel:

        >>> import numpy as np
        >>> square = np.zeros((80, 90), bool)
        >>> square[20:41, 30:51] = True
        >>> hd95(square, np.roll(square, 7, axis=1)), hd95(square, np.roll(square, 7, axis=1), (0.5, 0.5))
        (7.0, 3.5)
    """
    from monai.metrics import compute_hausdorff_distance

    return _compare(compute_hausdorff_distance, predicted, truth, spacing, percentile=95)


def average_distance(predicted: Mask, truth: Mask, spacing: Spacing | None = None) -> float:
    """Average symmetric surface distance: mean distance of all border pixels to the other mask's border.

    In pixels, or in mm with a spacing. Empty masks, arguments and errors as in `hd95`.
    """
    from monai.metrics import compute_average_surface_distance

    return _compare(compute_average_surface_distance, predicted, truth, spacing, symmetric=True)


def surface_dice(predicted: Mask, truth: Mask, tolerance: float, spacing: Spacing | None = None) -> float:
    """Normalised surface Dice: the fraction of both borders within `tolerance` of the other.

    Border pixels are counted, not border lengths. `tolerance` is in mm with a spacing, else in pixels.
    1.0 when both masks are empty, 0.0 when one is. Errors as in `hd95`.
    """
    from monai.metrics import compute_surface_dice

    within = {"class_thresholds": [tolerance]}
    return _compare(compute_surface_dice, predicted, truth, spacing, both_empty=1.0, one_empty=0.0, **within)


def _compare(
    metric: Callable[..., Tensor],
    predicted: Mask,
    truth: Mask,
    spacing: Spacing | None,
    both_empty: float = 0.0,
    one_empty: float = math.nan,
    **options: Any,
) -> float:
    if predicted.shape != truth.shape:
        raise ImageError(
            f"Expected two masks of one size; got {predicted.shape} and {truth.shape} (rows, columns)."
        )
    if spacing is not None and not all(math.isfinite(s) and s > 0 for s in spacing):
        raise ImageError(f"Expected a spacing (dy, dx) in mm above 0; got {spacing}. Give None for pixels.")
    # MONAI returns NaN or infinity for empty masks, depending on the metric.
    if not predicted.any() or not truth.any():
        return one_empty if predicted.any() or truth.any() else both_empty
    pair = [torch.from_numpy(mask.copy())[None, None] for mask in (predicted, truth)]
    return float(metric(*pair, include_background=True, spacing=spacing, **options))
