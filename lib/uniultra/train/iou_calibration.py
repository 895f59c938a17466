"""Whether the IoU that a network predicts can be believed: measured, and put right, on validation."""

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
from uniultra.train.objective import PromptObjective, answers

TURNS = 3  # answers looked at per target, so that good ones are among them
ENOUGH = 30  # answers to fit two numbers to
LEAST_SLOPE = 0.05  # the better of two answers must stay the better one


@dataclass(frozen=True)
class Quality:
    """How the predicted IoU of the single mask agrees with the real one.

    Attributes:
        n: answers, to first prompts and to corrections.
        error: expected calibration error, see `uniultra.metrics.calibration`.
        bias: mean of predicted less real.
        corrected: error after the correction that the result has; None where it has none.
    """

    n: int
    error: float
    bias: float
    corrected: float | None = None


def assess(
    goal: PromptObjective, batches: Iterable[Batch], device: torch.device | str, *, correct: bool = False
) -> Quality | None:
    """Measure the network's predicted IoU, and with `correct` change its last layer to agree better.

    Validation pictures measure and fit alike, so that `corrected` is the better by a little. Where the
    decoder is not trained, or too few answers are there, nothing is changed; None where there are none.
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
    """Predicted and real IoU, `(n,2)`, of the answers to each target's first prompt and two corrections."""
    goal.eval()
    found: list[tuple[float, float]] = []
    for drawn in batches:
        batch = drawn.to(device)
        embedding, prompts = goal.encode(batch), list(batch.prompts)
        for turn in range(TURNS):
            logits, iou = decode_by_length(goal.network, embedding, batch.picture, goal.encoded(prompts))
            masks = answers(logits, goal.network.image_size)
            both, either = ((op(masks, batch.masks)).sum((1, 2)) for op in (np.logical_and, np.logical_or))
            real = both / np.maximum(either, 1)
            found += zip(iou[:, 0].float().clamp(0, 1).tolist(), real.tolist(), strict=True)
            prompts = goal.corrected(batch, prompts, logits, turn + 1)
    return np.asarray(found, float).reshape(-1, 2)


def fit(pairs: NDArray[np.float64], *, bounded: bool) -> tuple[float, float]:
    """Slope and shift of the head's last output, before its sigmoid where it is `bounded`."""
    predicted, actual = pairs.T
    value = logit(np.clip(predicted, 1e-6, 1 - 1e-6)) if bounded else predicted

    def residuals(line: NDArray[np.float64]) -> NDArray[np.float64]:
        moved = line[0] * value + line[1]
        return np.asarray((expit(moved) if bounded else moved) - actual)

    fitted = least_squares(residuals, (1.0, 0.0), bounds=((LEAST_SLOPE, -np.inf), (np.inf, np.inf)))
    return float(fitted.x[0]), float(fitted.x[1])


@torch.no_grad()
def fold(network: PromptNetwork, slope: float, shift: float) -> None:
    """Let the head of the single mask's IoU give `slope` times its last output plus `shift`.

    It is in the weights then, so that a file, an export and a server all agree.
    """
    last = network.sam_mask_decoder.iou_prediction_head.layers[-1]
    last.weight[0] *= slope
    last.bias[0] = slope * last.bias[0] + shift


def _error(pairs: NDArray[np.float64]) -> tuple[float, float]:
    """Expected calibration error and bias."""
    measured = calibration([(float(p), float(a)) for p, a in pairs])
    return round(measured.error, 5), round(measured.bias, 5)
