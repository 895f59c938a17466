"""Losses of a promptable network: MONAI's Dice and cross-entropy on the mask, L1 on the predicted IoU.

Further terms weigh clicked pixels and borders, and train the best of several masks for an ambiguous click.
"""

from __future__ import annotations

import torch
from monai.losses import DiceLoss
from torch import Tensor
from torch.nn import functional as F

BANDS = (1, 2, 4)  # half widths of the border's bands, in pixels of the truth's grid


def mask_loss(logits: Tensor, iou: Tensor, truth: Tensor, weight: Tensor, progress: float = 0.0) -> Tensor:
    """Weighted mean over N targets of (1 - Dice) + 2 cross-entropy + |predicted IoU - IoU|.

    >>> truth = torch.zeros(1, 1, 8, 8)
    >>> truth[..., 2:6, 2:6] = 1
    >>> right = mask_loss(40 * truth - 20, torch.ones(1, 1), truth, torch.ones(1))
    >>> wrong = mask_loss(20 - 40 * truth, torch.ones(1, 1), truth, torch.ones(1))
    >>> bool(right < 1e-3 < 10 < wrong)
    True

    Args:
        logits: `(N,1,g,g)`.
        iou: `(N,1)`, predicted.
        truth: `(N,1,h,h)` float in 0..1; the logits are resampled to its grid.
        weight: `(N,)`; 0 ignores a target.
        progress: not used, see `losses_published.Loss`.
    """
    logits = enlarged(logits, truth)
    quality = (iou[:, 0].float() - hard_iou(logits, truth)[:, 0]).abs()
    return weighted_mean(_dice_cross_entropy(logits, truth)[:, 0] + quality, weight)


def _dice_cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """(1 - Dice) + 2 cross-entropy `(N,M)` of masks on the grid of the truth."""
    truth = truth.expand_as(logits)
    dice = DiceLoss(sigmoid=True, reduction="none")(logits, truth).flatten(2).mean(2)
    cross = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").flatten(2).mean(2)
    loss: Tensor = dice + 2 * cross
    return loss


def enlarged(logits: Tensor, truth: Tensor) -> Tensor:
    """Logits `(N,M,g,g)` resampled to the grid of the truth `(N,1,h,h)`, float32."""
    return F.interpolate(logits.float(), truth.shape[-2:], mode="bilinear")


def weighted_mean(each: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of the losses `(N,)` of N targets; 0 where all weights `(N,)` are 0."""
    return (each * weight).sum() / weight.sum().clamp_min(1e-6)


@torch.no_grad()
def hard_iou(logits: Tensor, truth: Tensor) -> Tensor:
    """IoU `(N,M)` of the masks of logits `(N,M,h,h)` with the truth `(N,1,h,h)`; 0 where both are empty."""
    hard, real = logits > 0, truth > 0.5
    return (hard & real).flatten(2).sum(2) / (hard | real).flatten(2).sum(2).clamp_min(1)


@torch.no_grad()
def best_mask(logits: Tensor, truth: Tensor) -> Tensor:
    """Index `(N,)` of the one of M masks `(N,M,g,g)` that is closest to the truth `(N,1,h,h)`."""
    return _dice_cross_entropy(enlarged(logits, truth), truth).argmin(1)


def quality_loss(logits: Tensor, iou: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over N targets of the mean |predicted IoU - IoU| of their M masks.

    Args:
        logits: `(N,M,g,g)`; no gradient flows into them.
        iou: `(N,M)`, predicted.
        truth: `(N,1,h,h)` float in 0..1.
        weight: `(N,)`.
    """
    each = (iou.float() - hard_iou(enlarged(logits.detach(), truth), truth)).abs().mean(1)
    return weighted_mean(each, weight)


def border_loss(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over N targets of the cross-entropy near the true border, on both sides of it.

    A border covers few pixels, so a mean over the picture hardly penalises a rough one. A pixel's weight is
    the number of bands that it lies in; they reach BANDS pixels to each side of the border.

    Args:
        logits: `(N,1,g,g)`.
        truth: `(N,1,h,h)` float in 0..1; the logits are resampled to its grid.
        weight: `(N,)`.
    """
    logits = enlarged(logits, truth)
    mask = (truth > 0.5).to(logits.dtype)
    band = torch.zeros_like(mask)
    for reach in BANDS:
        dilated, minus_eroded = (
            F.max_pool2d(sign * mask, 2 * reach + 1, stride=1, padding=reach) for sign in (1, -1)
        )
        band = band + dilated + minus_eroded
    cross = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    each = (band * cross).flatten(1).sum(1) / band.flatten(1).sum(1).clamp_min(1)
    return weighted_mean(each, weight)


def click_loss(logits: Tensor, coords: Tensor, labels: Tensor, side: int, weight: Tensor) -> Tensor:
    """Weighted mean over N targets of the cross-entropy at their clicks.

    A click covers few pixels, so with the mask loss alone a network may learn to ignore it.

    Args:
        logits: `(N,1,g,g)`.
        coords: `(N,P,2)` in model_xy of a square of `side` pixels.
        labels: `(N,P)`, 1 positive and 0 negative clicks; points of other labels are ignored.
        weight: `(N,)`.
    """
    grid = (coords + 0.5) / side * 2 - 1
    at = F.grid_sample(logits.float(), grid[:, None], align_corners=False)[:, 0, 0]
    clicked = ((labels == 0) | (labels == 1)).to(at.dtype)
    each = F.binary_cross_entropy_with_logits(at, labels.clamp(0, 1), reduction="none") * clicked
    each = each.sum(1) / clicked.sum(1).clamp_min(1)
    return weighted_mean(each, weight)
