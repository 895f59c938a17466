"""Losses of a promptable network: MONAI's Dice with cross-entropy on the mask, L1 on the predicted IoU.

Further terms look at clicks and at borders, and let the best of several masks answer an ambiguous click.
"""

from __future__ import annotations

import torch
from monai.losses import DiceLoss
from torch import Tensor
from torch.nn import functional as F

BANDS = (1, 2, 4)  # pixels of the truth's grid


def mask_loss(logits: Tensor, iou: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over N targets of Dice + cross-entropy + |predicted IoU - IoU|.

    Args:
        logits: `(N,1,g,g)`.
        iou: `(N,1)`, predicted.
        truth: `(N,1,h,h)` float in 0..1; the logits are brought to its size.
        weight: `(N,)`, zero leaves a target out.
    """
    logits = enlarged(logits, truth)
    quality = (iou[:, 0].float() - hard_iou(logits, truth)[:, 0]).abs()
    each = _wrong(logits, truth)[:, 0] + quality
    return weighted_mean(each, weight)


def _wrong(logits: Tensor, truth: Tensor) -> Tensor:
    """Dice + 2 cross-entropy of masks of the truth's size, `(N,M)`."""
    truth = truth.expand_as(logits)
    dice = DiceLoss(sigmoid=True, reduction="none")(logits, truth).flatten(2).mean(2)
    cross = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").flatten(2).mean(2)
    wrong: Tensor = dice + 2 * cross
    return wrong


def enlarged(logits: Tensor, truth: Tensor) -> Tensor:
    """Logits `(N,M,g,g)` on the grid of the truth `(N,1,h,h)`, float32."""
    return F.interpolate(logits.float(), truth.shape[-2:], mode="bilinear")


def weighted_mean(each: Tensor, weight: Tensor) -> Tensor:
    """Mean of the losses `(N,)` of N targets, weighted by `weight` `(N,)`; 0 without any weight."""
    return (each * weight).sum() / weight.sum().clamp_min(1e-6)


@torch.no_grad()
def hard_iou(logits: Tensor, truth: Tensor) -> Tensor:
    """IoU `(N,M)` of the masks of logits `(N,M,h,h)` with the truth `(N,1,h,h)`; 0 where both are empty."""
    hard, real = logits > 0, truth > 0.5
    return (hard & real).flatten(2).sum(2) / (hard | real).flatten(2).sum(2).clamp_min(1)


@torch.no_grad()
def best_mask(logits: Tensor, truth: Tensor) -> Tensor:
    """Which of M masks `(N,M,g,g)` comes closest to the truth `(N,1,h,h)`, `(N,)`."""
    return _wrong(enlarged(logits, truth), truth).argmin(1)


def quality_loss(logits: Tensor, iou: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over N targets of |predicted IoU - IoU|, over all their M masks.

    Args:
        logits: `(N,M,g,g)`; they get no gradient.
        iou: `(N,M)`, predicted.
        truth: `(N,1,h,h)` float in 0..1.
        weight: `(N,)`.
    """
    each = (iou.float() - hard_iou(enlarged(logits.detach(), truth), truth)).abs().mean(1)
    return weighted_mean(each, weight)


def border_loss(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over N targets of the cross-entropy along the true border, on both sides of it.

    A border is a small share of a picture, so that a mean over pixels forgives a rough one. Pixels count
    by how near they are: three bands, BANDS pixels wide on each side, lie over one another.

    Args:
        logits: `(N,1,g,g)`.
        truth: `(N,1,h,h)` float in 0..1; the logits are brought to its size.
        weight: `(N,)`.
    """
    logits = enlarged(logits, truth)
    real = (truth > 0.5).to(logits.dtype)
    band = torch.zeros_like(real)
    for reach in BANDS:
        grown, eaten = (F.max_pool2d(sign * real, 2 * reach + 1, stride=1, padding=reach) for sign in (1, -1))
        band = band + grown + eaten
    cross = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    each = (band * cross).flatten(1).sum(1) / band.flatten(1).sum(1).clamp_min(1)
    return weighted_mean(each, weight)


def click_loss(logits: Tensor, coords: Tensor, labels: Tensor, side: int, weight: Tensor) -> Tensor:
    """Weighted mean over N targets of the cross-entropy right at their clicks.

    A click covers few pixels, so the mask loss alone lets a network overrule it.

    Args:
        logits: `(N,1,g,g)`.
        coords: `(N,P,2)` in model_xy of a square of `side` pixels.
        labels: `(N,P)`: 1 and 0 are clicks, all else is left out.
        weight: `(N,)`.
    """
    grid = (coords + 0.5) / side * 2 - 1
    at = F.grid_sample(logits.float(), grid[:, None], align_corners=False)[:, 0, 0]
    clicked = ((labels == 0) | (labels == 1)).to(at.dtype)
    each = F.binary_cross_entropy_with_logits(at, labels.clamp(0, 1), reduction="none") * clicked
    each = each.sum(1) / clicked.sum(1).clamp_min(1)
    return weighted_mean(each, weight)
