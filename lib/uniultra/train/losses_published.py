"""The losses of the three papers, and the registry of all losses that a recipe may name.

All have the signature of `Loss` and return a weighted mean over N targets. The papers sum Dice over a whole
batch; here it is computed for each target, so that a large object does not outweigh a small one and the
result depends neither on the other targets of the batch nor on its division over processes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from monai.losses import DiceLoss, FocalLoss, HausdorffDTLoss
from torch import Tensor
from torch.nn import functional as F

from uniultra.train.losses import enlarged, mask_loss, weighted_mean

Loss = Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]  # logits, iou, truth, weight, progress
RAMP = 1 / 3  # fraction of the run over which the weight of the boundary term rises


def uniultra_loss(
    logits: Tensor, iou: Tensor, truth: Tensor, weight: Tensor, progress: float = 0.0
) -> Tensor:
    """UniUltra's loss: 0.8 (1 - Dice) + 0.2 focal. It does not train the predicted IoU.

    The focal term is that of the released code, 0.8 (1 - e^-c)^2 c with c the mean cross-entropy of all
    pixels.

    Args:
        logits: `(N,1,g,g)`.
        iou: `(N,1)`, predicted.
        truth: `(N,1,h,h)` float in 0..1; the logits are resampled to its grid.
        weight: `(N,)`; 0 ignores a target.
        progress: fraction of the run that is done, 0..1.
    """
    logits = enlarged(logits, truth)
    cross = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").flatten(1).mean(1)
    focal = 0.8 * (1 - torch.exp(-cross)).square() * cross
    return weighted_mean(0.8 * _dice(logits, truth) + 0.2 * focal, weight)


def samus_loss(logits: Tensor, iou: Tensor, truth: Tensor, weight: Tensor, progress: float = 0.0) -> Tensor:
    """SAMUS' loss: 0.8 (1 - Dice) with squared denominators + 0.2 cross-entropy with positives weighted 2.

    It does not train the predicted IoU. Arguments as for `uniultra_loss`, but `truth` is resampled (nearest)
    to the grid of the logits.
    """
    logits = logits.float()
    truth = F.interpolate(truth, logits.shape[-2:], mode="nearest-exact")
    dice = DiceLoss(sigmoid=True, squared_pred=True, smooth_nr=1e-5, smooth_dr=1e-5, reduction="none")
    cross = F.binary_cross_entropy_with_logits(
        logits, truth, reduction="none", pos_weight=logits.new_tensor(2.0)
    )
    each = 0.8 * dice(logits, truth).flatten(1).mean(1) + 0.2 * cross.flatten(1).mean(1)
    return weighted_mean(each, weight)


def lgmedseg_loss(
    logits: Tensor, iou: Tensor, truth: Tensor, weight: Tensor, progress: float = 0.0
) -> Tensor:
    """LG-MedSeg's loss: 20 focal + 1 (1 - Dice) + 1 mask IoU + 2 boundary (DOI 10.12677/mos.2025.144358).

    The focal term (alpha 0.25, gamma 2) is a mean over pixels; mask IoU is the squared error of the
    predicted IoU against that of the soft mask, as in SAM-Med2D. The weight of the boundary term rises
    linearly from 0 to 2 over the first third of the run. Arguments as for `uniultra_loss`.
    """
    full = enlarged(logits, truth)
    focal = FocalLoss(alpha=0.25, gamma=2.0, reduction="none")(full, truth).flatten(1).mean(1)
    quality = (iou[:, 0].float() - _soft_iou(full.detach(), truth)).square()
    each = 20 * focal + _dice(full, truth) + quality
    ramp = min(1.0, progress / RAMP)
    if ramp > 0:
        each = each + 2 * ramp * boundary_distance(logits, truth)
    return weighted_mean(each, weight)


def boundary_distance(logits: Tensor, truth: Tensor) -> Tensor:
    """Distance `(N,)` of wrong pixels from the borders, in diagonals of the picture.

    The paper's Hausdorff distance has no gradient, and in pixels it would dominate the other terms. This
    is its differentiable form by distance transforms (Karimi and Salcudean 2019, MONAI's
    `HausdorffDTLoss`): sqrt(mean((p - g)^2 (DT(p)^2 + DT(g)^2))) / diagonal. Without the root, divided by
    the squared diagonal, it would be about 1e-5.

    Args:
        logits: `(N,1,g,g)`; distances are computed on this grid, in a few milliseconds per target.
        truth: `(N,1,h,h)` float in 0..1, resampled to that grid.
    """
    logits = logits.float()
    truth = F.interpolate(truth, logits.shape[-2:], mode="area")
    squared = HausdorffDTLoss(alpha=2.0, include_background=True, sigmoid=True, reduction="none")
    diagonal2 = sum(side**2 for side in logits.shape[-2:])
    # The small number keeps the root's gradient finite where no pixel is wrong.
    return (squared(logits, truth).flatten(1).mean(1) / diagonal2 + 1e-8).sqrt()


def _dice(logits: Tensor, truth: Tensor) -> Tensor:
    each: Tensor = DiceLoss(sigmoid=True, smooth_nr=1.0, smooth_dr=1.0, reduction="none")(logits, truth)
    return each.flatten(1).mean(1)


def _soft_iou(logits: Tensor, truth: Tensor) -> Tensor:
    probability = logits.sigmoid()
    both = (probability * truth).flatten(1).sum(1)
    return (both + 1e-7) / ((probability + truth).flatten(1).sum(1) - both + 1e-7)


LOSSES: dict[str, Loss] = {
    "mask": mask_loss,
    "uniultra": uniultra_loss,
    "samus": samus_loss,
    "lgmedseg": lgmedseg_loss,
}
