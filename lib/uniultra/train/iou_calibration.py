"""Calibration of the IoU that a network predicts: measured, and corrected, on the validation pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import expit, logit

from uniultra.metrics.calibration import calibration
from uniultra.networks.network import PromptNetwork, decode_by_length
from uniultra.train.batches import Batch
from uniultra.train.objective import PromptObjective, masks_of

TURNS = 3  # masks per target, the first and its corrections, so that good ones are among them
ENOUGH = 30  # fewest masks to fit the two parameters to
LEAST_SLOPE = 0.05  # above 0, so that the order of two predictions stays


@dataclass(frozen=True)
class Quality:
    """Agreement of the predicted IoU of the single mask with the true one.

    Attributes:
        n: number of masks, for first prompts and for corrections.
        error: expected calibration error, see `uniultra.metrics.calibration`.
        bias: mean of predicted - true IoU.
        corrected: expected calibration error after the correction in the weights; None without one.
    """

    n: int
    error: float
    bias: float
    corrected: float | None = None


def assess(
    goal: PromptObjective, batches: Iterable[Batch], device: torch.device | str, *, correct: bool = False
) -> Quality | None:
    """Measure the network's predicted IoU, and with `correct` calibrate its last layer.

    The same validation pictures serve for the fit and for `corrected`, which is therefore slightly too
    good. A frozen decoder is not changed, nor is one with fewer than ENOUGH masks to fit.

    Returns:
        The agreement; None without validation pictures.
    """
    pairs = judged(goal, batches, device)
    if not len(pairs):
        return None
    error, bias = _error(pairs)
    head = goal.network.sam_mask_decoder.iou_prediction_head
    if not correct or len(pairs) < ENOUGH or not head.layers[-1].weight.requires_grad:
        return Quality(len(pairs), error, bias)
    # SAM2's head ends with a sigmoid, SAM's does not.
    slope, shift = fit(pairs, bounded=bool(head.sigmoid_output))
    fold(goal.network, slope, shift)
    return Quality(len(pairs), error, bias, _error(judged(goal, batches, device))[0])


@torch.no_grad()
def judged(
    goal: PromptObjective, batches: Iterable[Batch], device: torch.device | str
) -> NDArray[np.float64]:
    """Predicted and true IoU, `(n,2)`, of the masks for each target's first prompt and two corrections."""
    goal.eval()
    pairs: list[tuple[float, float]] = []
    for batch in (batch.to(device) for batch in batches):
        embedding, prompts = goal.encode(batch), list(batch.prompts)
        for turn in range(TURNS):
            logits, iou = decode_by_length(goal.network, embedding, batch.picture, goal.encoded(prompts))
            masks = masks_of(logits, goal.network.image_size)
            union = (masks | batch.masks).sum((1, 2))
            actual = (masks & batch.masks).sum((1, 2)) / np.maximum(union, 1)
            pairs += zip(iou[:, 0].float().clamp(0, 1).tolist(), actual.tolist(), strict=True)
            prompts = goal.corrected(batch, prompts, logits, turn + 1)
    return np.asarray(pairs, float).reshape(-1, 2)


def fit(pairs: NDArray[np.float64], *, bounded: bool) -> tuple[float, float]:
    """Least-squares slope and shift of the head's last output, before its sigmoid where it is `bounded`."""
    predicted, actual = pairs.T
    value = logit(np.clip(predicted, 1e-6, 1 - 1e-6)) if bounded else predicted

    def residuals(line: NDArray[np.float64]) -> NDArray[np.float64]:
        moved = line[0] * value + line[1]
        return np.asarray((expit(moved) if bounded else moved) - actual)

    fitted = least_squares(residuals, (1.0, 0.0), bounds=((LEAST_SLOPE, -np.inf), (np.inf, np.inf)))
    return float(fitted.x[0]), float(fitted.x[1])


@torch.no_grad()
def fold(network: PromptNetwork, slope: float, shift: float) -> None:
    """Fold `slope` x + `shift` into the last layer of the single mask's IoU head.

    The correction is then part of the weights, so that a file, an export and a server all agree.
    """
    last = network.sam_mask_decoder.iou_prediction_head.layers[-1]
    last.weight[0] *= slope
    last.bias[0] = slope * last.bias[0] + shift


def _error(pairs: NDArray[np.float64]) -> tuple[float, float]:
    """Expected calibration error and bias."""
    measured = calibration([(float(p), float(a)) for p, a in pairs])
    return round(measured.error, 5), round(measured.bias, 5)
