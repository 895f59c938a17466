"""Calibration of the predicted IoU: how well it agrees with the IoU that the masks reach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

BINS = 10
IouPair = tuple[float, float]  # predicted and true IoU of an answer


class CalibrationBin(BaseModel):
    """Answers whose predicted IoU lies in `[low, high)`, the last bin with its upper end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float
    n: int
    predicted: float | None
    actual: float | None


class IouCalibration(BaseModel):
    """Predicted against true IoU.

    Attributes:
        n: number of answers.
        error: expected calibration error, the sum over bins of n_bin / n * |predicted - actual|.
        bias: mean predicted minus mean actual IoU.
        correlation: Pearson's; None where predicted or actual values do not vary.
        bins: ten of equal width.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    error: float
    bias: float
    correlation: float | None
    bins: tuple[CalibrationBin, ...]


def calibrations(judged: Iterable[Mapping[str, Sequence[IouPair]]]) -> dict[str, IouCalibration]:
    """Calibration by kind of prompt, and of all answers together under `all`; empty without answers.

    Args:
        judged: for each picture, kind of prompt to the pairs of its answers.
    """
    pairs: dict[str, list[IouPair]] = {"all": []}
    for picture in judged:
        for kind, answers in picture.items():
            pairs["all"] += answers
            pairs.setdefault(kind, []).extend(answers)
    return {kind: calibration(answers) for kind, answers in pairs.items() if answers}


def calibration(pairs: Sequence[IouPair]) -> IouCalibration:
    """Compare predicted with true IoU.

    The expected calibration error is that of Guo et al. (arXiv 1706.04599), with the IoU in place of
    accuracy.

    Args:
        pairs: predicted and true IoU of each answer, 0..1; not empty.
    """
    predicted, actual = np.asarray(pairs, float).T
    edges = np.linspace(0, 1, BINS + 1)
    place = np.clip(np.digitize(predicted, edges) - 1, 0, BINS - 1)
    bins = []
    for n in range(BINS):
        own = place == n
        bins.append(
            CalibrationBin(
                low=round(float(edges[n]), 3),
                high=round(float(edges[n + 1]), 3),
                n=int(own.sum()),
                predicted=float(predicted[own].mean()) if own.any() else None,
                actual=float(actual[own].mean()) if own.any() else None,
            )
        )
    gaps = np.abs(np.bincount(place, predicted - actual))  # a bin's answers times its difference of means
    varied = min(np.ptp(predicted), np.ptp(actual)) > 0
    return IouCalibration(
        n=len(pairs),
        error=float(gaps.sum() / len(pairs)),
        bias=float((predicted - actual).mean()),
        correlation=float(np.corrcoef(predicted, actual)[0, 1]) if varied else None,
        bins=tuple(bins),
    )
