"""How far two borders lie apart, by MONAI.

The border of a mask are its pixels with a 4-neighbour outside it; the edge of the picture counts as
outside. Distances are Euclidean, between pixel centres: never compare them with the Manhattan distances
at 256 px that SAMUS reports.

Empty masks: two empty masks agree (distance 0, surface Dice 1). When one of the two is empty there is no
distance, the answer is NaN and whoever averages must say how many were left out; surface Dice is then 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from uniultra.errors import ImageError
from uniultra.prompts.types import Mask

if TYPE_CHECKING:
    from torch import Tensor

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
        ImageError: masks of two sizes, or a spacing that is not above zero.
    """

    def compute(*pair: Tensor, **options: Any) -> Tensor:
        from monai.metrics import compute_hausdorff_distance

        return compute_hausdorff_distance(*pair, percentile=95, **options)

    return _compare(compute, predicted, truth, spacing, agree=0.0, lone=math.nan)


def average_distance(predicted: Mask, truth: Mask, spacing: Spacing | None = None) -> float:
    """Mean distance of every border pixel of one mask to the other's border, both ways, in px or mm.

    Empty masks, arguments and errors as in `hd95`.
    """

    def compute(*pair: Tensor, **options: Any) -> Tensor:
        from monai.metrics import compute_average_surface_distance

        return compute_average_surface_distance(*pair, symmetric=True, **options)

    return _compare(compute, predicted, truth, spacing, agree=0.0, lone=math.nan)


def surface_dice(predicted: Mask, truth: Mask, tolerance: float, spacing: Spacing | None = None) -> float:
    """Normalised surface distance: the share of both borders within `tolerance` of the other.

    Border pixels are counted, not border lengths. `tolerance` is in mm with a spacing, else in pixels.
    1.0 when both masks are empty, 0.0 when one is. Errors as in `hd95`.
    """

    def compute(*pair: Tensor, **options: Any) -> Tensor:
        from monai.metrics import compute_surface_dice

        return compute_surface_dice(*pair, class_thresholds=[tolerance], **options)

    return _compare(compute, predicted, truth, spacing, agree=1.0, lone=0.0)


def _compare(
    compute: Callable[..., Tensor],
    predicted: Mask,
    truth: Mask,
    spacing: Spacing | None,
    *,
    agree: float,
    lone: float,
) -> float:
    if predicted.shape != truth.shape:
        raise ImageError(
            f"Expected two masks of one size; got {predicted.shape} and {truth.shape} (rows, columns)."
        )
    if spacing is not None and not all(math.isfinite(s) and s > 0 for s in spacing):
        raise ImageError(f"Expected a spacing (dy, dx) in mm above 0; got {spacing}. Give None for pixels.")
    # MONAI answers these with NaN or infinity, by metric.
    if not predicted.any() or not truth.any():
        return lone if predicted.any() or truth.any() else agree
    pair = [torch.from_numpy(mask.copy())[None, None] for mask in (predicted, truth)]
    return float(compute(*pair, include_background=True, spacing=spacing))
