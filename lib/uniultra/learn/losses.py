"""Losses of a promptable network: MONAI's Dice with cross-entropy on the mask, L1 on the predicted IoU."""

from __future__ import annotations

import torch
from monai.losses import DiceLoss
from torch import Tensor
from torch.nn import functional as F


def mask_loss(logits: Tensor, iou: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean over N targets of Dice + cross-entropy + |predicted IoU - IoU|.

    Args:
        logits: `(N,1,g,g)`.
        iou: `(N,1)`, predicted.
        truth: `(N,1,h,h)` float in 0..1; the logits are brought to its size.
        weight: `(N,)`, zero leaves a target out.
    """
    logits = F.interpolate(logits.float(), truth.shape[-2:], mode="bilinear")
    dice = DiceLoss(sigmoid=True, reduction="none")(logits, truth).flatten(1).mean(1)
    cross = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").flatten(1).mean(1)
    with torch.no_grad():
        hard, real = logits > 0, truth > 0.5
        actual = (hard & real).flatten(1).sum(1) / (hard | real).flatten(1).sum(1).clamp_min(1)
    quality = (iou[:, 0].float() - actual).abs()
    each = dice + 2 * cross + quality
    return (each * weight).sum() / weight.sum().clamp_min(1e-6)


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
    return (each * weight).sum() / weight.sum().clamp_min(1e-6)
